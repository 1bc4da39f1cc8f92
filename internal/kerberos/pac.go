package kerberos

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana/adtype"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/pac"
	"github.com/jcmturner/gokrb5/v8/types"
)

const (
	// maxGroups is more than a ticket of Active Directory can have (1,015).
	maxGroups = 2000
	// maxBuffers is some times what a domain writes.
	maxBuffers = 64
)

// The buffers of a PAC that are looked at here ([MS-PAC] §2.4).
const (
	logonInfo       = 1
	serverSignature = 6
	kdcSignature    = 7
)

// vouched is what a domain says of a user in the PAC ([MS-PAC]).
type vouched struct {
	name string   // as the domain writes it
	sids []string // the user's own first
}

// readPAC returns what the PAC among a ticket's authorization data vouches for;
// nothing where there is none, or one without groups, as those of MIT Kerberos
// are. Groups of a PAC that is not signed with our key are refused: a client may
// have its realm put data of its own making into a ticket (RFC 4120 §5.4.1).
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
	buffers, ok := buffersOf(text)
	if !ok {
		return vouched{}, refuse("the groups in the Kerberos ticket are damaged; get another ticket")
	}
	if buffers[logonInfo] == nil {
		return vouched{}, nil
	}
	// Before anything in it is read: the library makes room for as much as is announced.
	if !signed(text, buffers, key) {
		return vouched{}, refuse("the groups in the Kerberos ticket are not vouched for by the domain: their signature is not made with this service's key")
	}
	var p pac.PACType
	err := p.Unmarshal(text)
	if err == nil {
		err = p.ProcessPACInfoBuffers(key, log.New(io.Discard, "", 0))
	}
	if err != nil {
		return vouched{}, refuse("the groups in the Kerberos ticket cannot be read: %w", err)
	}
	info := p.KerbValidationInfo
	found := vouched{name: info.EffectiveName.Value, sids: []string{fmt.Sprintf("%s-%d", info.LogonDomainID.String(), info.UserID)}}
	found.sids = append(found.sids, info.GetGroupMembershipSIDs()...)
	if len(found.sids) > maxGroups {
		return vouched{}, refuse("the Kerberos ticket names %d groups, and up to %d are looked at", len(found.sids), maxGroups)
	}
	return found, nil
}

// buffersOf returns the parts of a PAC by their kind ([MS-PAC] §2.3), which are
// pieces of text; false when it is none, or has two of a kind.
func buffersOf(text []byte) (map[uint32][]byte, bool) {
	const head, entry = 8, 16
	if len(text) < head {
		return nil, false
	}
	count := binary.LittleEndian.Uint32(text)
	if count > maxBuffers || len(text) < head+entry*int(count) {
		return nil, false
	}
	buffers := map[uint32][]byte{}
	for i := range int(count) {
		place := text[head+entry*i:]
		kind, size, offset := binary.LittleEndian.Uint32(place), uint64(binary.LittleEndian.Uint32(place[4:])), binary.LittleEndian.Uint64(place[8:])
		if offset > uint64(len(text)) || size > uint64(len(text))-offset || buffers[kind] != nil {
			return nil, false
		}
		buffers[kind] = text[offset : offset+size : offset+size]
	}
	return buffers, true
}

// signed reports whether the server's signature is made with key over all of the
// PAC, the signatures being zeros ([MS-PAC] §2.8.1).
func signed(text []byte, buffers map[uint32][]byte, key types.EncryptionKey) bool {
	var server, kdc pac.SignatureData
	serverBlank, err := server.Unmarshal(buffers[serverSignature])
	if err != nil {
		return false
	}
	kdcBlank, err := kdc.Unmarshal(buffers[kdcSignature])
	if err != nil {
		return false
	}
	blank := bytes.Clone(text)
	parts, ok := buffersOf(blank)
	if !ok {
		return false
	}
	copy(parts[serverSignature], serverBlank)
	copy(parts[kdcSignature], kdcBlank)
	method, err := crypto.GetChksumEtype(int32(server.SignatureType))
	return err == nil && method.GetETypeID() == key.KeyType &&
		method.VerifyChecksum(key.KeyValue, blank, server.Signature, keyusage.KERB_NON_KERB_CKSUM_SALT)
}
