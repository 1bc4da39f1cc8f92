package kerberos

import (
	"fmt"
	"io"
	"log"

	"github.com/jcmturner/gokrb5/v8/iana/adtype"
	"github.com/jcmturner/gokrb5/v8/pac"
	"github.com/jcmturner/gokrb5/v8/types"
)

// maxGroups is more than a ticket of Active Directory can have (1,015).
const maxGroups = 2000

// vouched is what a domain says of a user in the PAC ([MS-PAC]).
type vouched struct {
	name string   // as the domain writes it
	sids []string // the user's own first
}

// readPAC returns what the PAC among a ticket's authorization data vouches for;
// nothing where there is none, or one without groups, as those of MIT Kerberos
// are. Groups of a PAC that is not signed with our key are refused.
func readPAC(all types.AuthorizationData, key types.EncryptionKey) (vouched, error) {
	for _, outer := range all {
		if outer.ADType != adtype.ADIfRelevant {
			continue
		}
		var inner types.AuthorizationData
		if err := inner.Unmarshal(outer.ADData); err != nil {
			continue // of no relevance, as RFC 4120 §5.2.6.1 has it
		}
		for _, data := range inner {
			if data.ADType == adtype.ADWin2KPAC {
				return verified(data.ADData, key)
			}
		}
	}
	return vouched{}, nil
}

func verified(text []byte, key types.EncryptionKey) (vouched, error) {
	var p pac.PACType
	err := p.Unmarshal(text)
	if err == nil {
		err = p.ProcessPACInfoBuffers(key, log.New(io.Discard, "", 0))
	}
	info := p.KerbValidationInfo
	switch {
	case err != nil && info == nil && len(p.Buffers) > 0:
		return vouched{}, nil
	case err != nil:
		return vouched{}, refuse("the groups in the Kerberos ticket are not vouched for by the domain: %w", err)
	}
	found := vouched{name: info.EffectiveName.Value, sids: []string{fmt.Sprintf("%s-%d", info.LogonDomainID.String(), info.UserID)}}
	found.sids = append(found.sids, info.GetGroupMembershipSIDs()...)
	if len(found.sids) > maxGroups {
		return vouched{}, refuse("the Kerberos ticket names %d groups, and up to %d are looked at", len(found.sids), maxGroups)
	}
	return found, nil
}
