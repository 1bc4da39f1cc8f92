package kerberos

import (
	"bytes"

	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
)

// ntlm is NTLM among the mechanisms of SPNEGO ([MS-SPNG] §3.1.5.2).
const ntlm = "1.3.6.1.4.1.311.2.2.10"

// errNTLM is not about a setting: NTLM is never let in. What it proves can be
// passed on by whoever reads it, and its answers are cracked offline.
var errNTLM = refuse("the client offered NTLM, which is never let in here since whoever reads it can use it elsewhere: it has no Kerberos ticket for this server. " +
	"Use the host name that the keytab names, not an IP address, on a computer that is signed in to the domain")

// apRequest returns the Kerberos request within a Negotiate token: in SPNEGO
// (RFC 4178), as browsers and curl send it, or bare (RFC 4121).
func apRequest(token []byte) (messages.APReq, error) {
	if bytes.HasPrefix(token, []byte("NTLMSSP\x00")) {
		return messages.APReq{}, errNTLM
	}
	inner := token
	var outer spnego.SPNEGOToken
	if outer.Unmarshal(token) == nil {
		if !outer.Init || len(outer.NegTokenInit.MechTypes) == 0 {
			return messages.APReq{}, refuse("the client goes on with a negotiation that this server did not begin; send the whole ticket at once")
		}
		// The token is of the mechanism that the client likes best (§4.2.1).
		switch first := outer.NegTokenInit.MechTypes[0]; {
		case first.String() == ntlm || bytes.HasPrefix(outer.NegTokenInit.MechTokenBytes, []byte("NTLMSSP\x00")):
			return messages.APReq{}, errNTLM
		case !first.Equal(gssapi.OIDKRB5.OID()) && !first.Equal(gssapi.OIDMSLegacyKRB5.OID()):
			return messages.APReq{}, refuse("the client begins with the mechanism %s, and only Kerberos 5 is understood here", first)
		}
		inner = outer.NegTokenInit.MechTokenBytes
	}
	var request spnego.KRB5Token
	if err := request.Unmarshal(inner); err != nil {
		return messages.APReq{}, refuse("what was sent with Negotiate is no Kerberos ticket; send one, as curl --negotiate does: %w", err)
	}
	if !request.IsAPReq() {
		return messages.APReq{}, refuse("a Kerberos ticket is expected with Negotiate, and another Kerberos message was sent")
	}
	return request.APReq, nil
}
