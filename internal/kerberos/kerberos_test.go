package kerberos

import (
	"encoding/asn1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"understudy"
)

const (
	realm   = "EXAMPLE.COM"
	service = "HTTP/vms.example.com"
)

// asked is a request of a client, made by the realm's own rules.
type asked struct {
	user, realm, service string
	keys                 *keytab.Keytab
	kind                 int32
	number               int
	start, end           time.Time
	clock                time.Duration // of the client, ahead of ours
	otherKey             bool          // the authenticator is made with another key
}

func keysOf(t testing.TB, password string, number uint8, kinds ...int32) *keytab.Keytab {
	t.Helper()
	tab := keytab.New()
	for _, kind := range kinds {
		check(t, tab.AddEntry(service, realm, password, time.Now(), number, kind))
	}
	return tab
}

func write(t testing.TB, path string, tab *keytab.Keytab) string {
	t.Helper()
	text, err := tab.Marshal()
	check(t, err)
	check(t, os.WriteFile(path, text, 0o600))
	return path
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ticketFor is a good request for ada, to be spoilt.
func ticketFor(tab *keytab.Keytab) asked {
	return asked{user: "ada", realm: realm, service: service, keys: tab, kind: etypeID.AES256_CTS_HMAC_SHA1_96, number: 3,
		start: time.Now(), end: time.Now().Add(8 * time.Hour)}
}

func (a asked) token(t testing.TB) []byte {
	t.Helper()
	user := types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, a.user)
	ticket, session, err := messages.NewTicket(user, a.realm, types.NewPrincipalName(nametype.KRB_NT_SRV_INST, a.service), realm,
		types.NewKrbFlags(), a.keys, a.kind, a.number, a.start, a.start, a.end, a.end)
	check(t, err)
	authenticator, err := types.NewAuthenticator(a.realm, user)
	check(t, err)
	made := time.Now().UTC().Add(a.clock)
	authenticator.CTime, authenticator.Cusec = made.Truncate(time.Second), made.Nanosecond()/1000
	if a.otherKey {
		session.KeyValue = append([]byte{}, session.KeyValue...)
		session.KeyValue[0] ^= 1
	}
	request, err := messages.NewAPReq(ticket, session, authenticator)
	check(t, err)
	inner, err := request.Marshal()
	check(t, err)
	oid, err := asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2})
	check(t, err)
	return asn1tools.AddASNAppTag(append(append(oid, 1, 0), inner...), 0)
}

// inSPNEGO wraps a token as clients do, with the mechanisms that they offer.
func inSPNEGO(t testing.TB, token []byte, mechanisms ...asn1.ObjectIdentifier) []byte {
	t.Helper()
	type initial struct {
		Mechanisms []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
		Token      []byte                  `asn1:"explicit,tag:2"`
	}
	inner, err := asn1.Marshal(initial{mechanisms, token})
	check(t, err)
	choice, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: inner})
	check(t, err)
	oid, err := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2})
	check(t, err)
	return asn1tools.AddASNAppTag(append(oid, choice...), 0)
}

var (
	kerberos5   = asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	microsofts  = asn1.ObjectIdentifier{1, 2, 840, 48018, 1, 2, 2}
	mechNTLM    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
	mechNEGOEX  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 30}
	fromNowhere = "192.0.2.1:40000"
)

func acceptor(t testing.TB, tab *keytab.Keytab) *Acceptor {
	t.Helper()
	a, err := New(Config{Keytab: write(t, filepath.Join(t.TempDir(), "http.keytab"), tab)})
	check(t, err)
	return a
}

func requireRefusal(t *testing.T, what string, err error, code understudy.Code, words string) {
	t.Helper()
	if err == nil || understudy.CodeOf(err) != code || !strings.Contains(err.Error(), words) {
		t.Errorf("%s: must be refused (%s) with %q, got %v", what, code, words, err)
	}
}

func TestATicketIsLetInOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA1_96)
		a := acceptor(t, tab)
		time.Sleep(time.Second)
		for name, token := range map[string][]byte{
			"bare":              ticketFor(tab).token(t),
			"in SPNEGO":         inSPNEGO(t, ticketFor(tab).token(t), kerberos5),
			"as Windows offers": inSPNEGO(t, ticketFor(tab).token(t), microsofts, kerberos5, mechNEGOEX, mechNTLM),
		} {
			ticket, err := a.Accept(token, fromNowhere)
			if err != nil || ticket.User != "ada@EXAMPLE.COM" || ticket.Groups != nil || time.Until(ticket.Ends).Round(time.Hour) != 8*time.Hour {
				t.Errorf("%s: found %+v, %v", name, ticket, err)
			}
			_, err = a.Accept(token, fromNowhere)
			requireRefusal(t, name+", again", err, understudy.CodeUnauthenticated, "shown before")
		}
		token := ticketFor(tab).token(t)
		if _, err := a.Accept(token, fromNowhere); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		_, err := a.Accept(token, fromNowhere)
		requireRefusal(t, "again while the clocks allow it", err, understudy.CodeUnauthenticated, "shown before")
		time.Sleep(7 * time.Minute)
		_, err = a.Accept(token, fromNowhere)
		requireRefusal(t, "again later", err, understudy.CodeUnauthenticated, "clocks")
		if _, err := a.Accept(ticketFor(tab).token(t), fromNowhere); err != nil {
			t.Fatal(err)
		}
		if len(a.seen.by) != 1 || len(a.seen.users) != 1 || len(a.seen.oldest) != 1 {
			t.Errorf("what can no longer be let in is forgotten, but %d, %d, %d are remembered", len(a.seen.by), len(a.seen.users), len(a.seen.oldest))
		}
	})
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
		a := acceptor(t, tab)
		time.Sleep(time.Hour)
		elsewhere := keytab.New()
		check(t, elsewhere.AddEntry("HTTP/10.0.0.7", realm, "secret", time.Now(), 3, etypeID.AES256_CTS_HMAC_SHA1_96))
		for words, spoil := range map[string]func(*asked){
			"expired at":                         func(r *asked) { r.end = time.Now().Add(-time.Hour); r.start = r.end.Add(-time.Hour) },
			"which is 1h0m0s from now":           func(r *asked) { r.start = time.Now().Add(time.Hour) },
			"are 6m0s apart":                     func(r *asked) { r.clock = -6 * time.Minute },
			"are 7m0s apart":                     func(r *asked) { r.clock = 7 * time.Minute },
			"this server is " + service:          func(r *asked) { r.service, r.keys = "HTTP/10.0.0.7", elsewhere },
			"password was changed since":         func(r *asked) { r.keys, r.number = keysOf(t, "other", 4, r.kind), 4 },
			"does not open with the key":         func(r *asked) { r.keys = keysOf(t, "other", 3, r.kind) },
			"AES is needed":                      func(r *asked) { r.keys, r.kind = keysOf(t, "secret", 3, etypeID.RC4_HMAC), etypeID.RC4_HMAC },
			`the realm "ELSEWHERE.ORG"`:          func(r *asked) { r.realm = "ELSEWHERE.ORG" },
			"a service and no user":              func(r *asked) { r.user = "host/pc.example.com" },
			"no name that can be used here":      func(r *asked) { r.user = "ada\n" },
			"does not have its key":              func(r *asked) { r.otherKey = true },
			"no name that can be used here\x00@": func(r *asked) { r.user = "ada@OTHER.COM" },
		} {
			request := ticketFor(tab)
			spoil(&request)
			_, err := a.Accept(request.token(t), fromNowhere)
			words, _, _ = strings.Cut(words, "\x00")
			requireRefusal(t, words, err, understudy.CodeUnauthenticated, words)
		}
	})
}

func TestWhatIsNoTicketIsRefusedByName(t *testing.T) {
	tab := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
	a := acceptor(t, tab)
	good := ticketFor(tab).token(t)
	for name, c := range map[string]struct {
		token []byte
		words string
	}{
		"NTLM, bare":         {[]byte("NTLMSSP\x00\x01\x00\x00\x00"), "NTLM"},
		"NTLM, in SPNEGO":    {inSPNEGO(t, []byte("NTLMSSP\x00\x01\x00\x00\x00"), mechNTLM), "NTLM"},
		"NTLM with Kerberos": {inSPNEGO(t, []byte("NTLMSSP\x00\x01\x00\x00\x00"), kerberos5, mechNTLM), "NTLM"},
		"NEGOEX":             {inSPNEGO(t, []byte("NEGOEXTS"), mechNEGOEX, kerberos5), "1.3.6.1.4.1.311.2.2.30"},
		"nothing":            {nil, "no Kerberos ticket"},
		"a password":         {[]byte("ada:secret"), "no Kerberos ticket"},
		"half a ticket":      {good[:len(good)/2], "no Kerberos ticket"},
		"too much":           {make([]byte, maxToken+1), "bytes"},
	} {
		_, err := a.Accept(c.token, fromNowhere)
		requireRefusal(t, name, err, understudy.CodeUnauthenticated, c.words)
	}
}

// TestAChangedBitIsSeen: no byte of a request can be another one.
func TestAChangedBitIsSeen(t *testing.T) {
	tab := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
	a := acceptor(t, tab)
	good := ticketFor(tab).token(t)
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 0x10
		if ticket, err := a.Accept(bad, fromNowhere); err == nil && ticket.User != "ada@EXAMPLE.COM" {
			t.Fatalf("with byte %d changed it is the ticket of %s", i, ticket.User)
		}
	}
}

func TestARestartDoesNotLetInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
		token := ticketFor(tab).token(t)
		time.Sleep(time.Second)
		_, err := acceptor(t, tab).Accept(token, fromNowhere)
		requireRefusal(t, "made before the start", err, understudy.CodeUnauthenticated, "before this server started")
	})
}

func TestTheKeytabMayBeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
		a := acceptor(t, tab)
		next := keysOf(t, "next", 4, etypeID.AES256_CTS_HMAC_SHA1_96)
		check(t, next.AddEntry(service, realm, "secret", time.Now(), 3, etypeID.AES256_CTS_HMAC_SHA1_96))
		write(t, a.config.Keytab, next)
		request := ticketFor(next)
		request.number = 4
		for _, r := range []asked{request, ticketFor(tab)} {
			if _, err := a.Accept(r.token(t), fromNowhere); err != nil {
				t.Errorf("with key %d: %v", r.number, err)
			}
		}
		check(t, os.Remove(a.config.Keytab))
		if _, err := a.Accept(ticketFor(tab).token(t), fromNowhere); err != nil {
			t.Errorf("without the file, with the keys of before: %v", err)
		}
	})
}

func TestAKeytabOfNoUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "http.keytab")
	_, err := New(Config{Keytab: path})
	requireRefusal(t, "no file", err, understudy.CodeInvalid, "kerberos.keytab")
	_, err = New(Config{Keytab: dir})
	requireRefusal(t, "a folder", err, understudy.CodeInvalid, "is a file")
	check(t, os.WriteFile(path, []byte("\x05\x02\x00\x00\x00\x7f\x00"), 0o600))
	_, err = New(Config{Keytab: path})
	requireRefusal(t, "a damaged one", err, understudy.CodeInvalid, "no keytab")
	write(t, path, keysOf(t, "secret", 3, etypeID.RC4_HMAC))
	_, err = New(Config{Keytab: path})
	requireRefusal(t, "weak keys only", err, understudy.CodeInvalid, "AES")
	check(t, os.Chmod(path, 0o644))
	_, err = New(Config{Keytab: path})
	requireRefusal(t, "everyone's", err, understudy.CodeInvalid, "chmod 600")
}

func TestOneUserCannotFillTheMemory(t *testing.T) {
	now := time.Now()
	s := newSeen(now, 10*time.Minute)
	for i := range maxOfUser {
		check(t, s.once("ada", [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, now, now))
	}
	requireRefusal(t, "one more", s.once("ada", [32]byte{31: 1}, now, now), understudy.CodeUnavailable, "use the session")
	check(t, s.once("bob", [32]byte{31: 1}, now, now))
	check(t, s.once("ada", [32]byte{31: 2}, now.Add(10*time.Minute), now.Add(10*time.Minute)))
}

func FuzzAccept(f *testing.F) {
	tab := keysOf(f, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
	a := acceptor(f, tab)
	good := ticketFor(tab).token(f)
	f.Add(good)
	f.Add(inSPNEGO(f, good, microsofts, kerberos5, mechNTLM))
	f.Add([]byte("NTLMSSP\x00"))
	f.Fuzz(func(t *testing.T, token []byte) {
		ticket, err := a.Accept(token, fromNowhere)
		if err == nil && ticket.User != "ada@EXAMPLE.COM" {
			t.Fatalf("a ticket of %q was made up", ticket.User)
		}
		if err != nil && understudy.CodeOf(err) != understudy.CodeUnauthenticated {
			t.Fatalf("what is no ticket is refused, not %v", fmt.Sprint(err))
		}
	})
}
