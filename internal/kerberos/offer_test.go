package kerberos

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"understudy"
)

// cacheOf is a file as kinit writes it, version 4, with ada's tickets for services until a moment.
func cacheOf(t *testing.T, keys *keytab.Keytab, until time.Time, services ...string) []byte {
	t.Helper()
	text := []byte{5, 4, 0, 12, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}
	number := func(n int64) { text = binary.BigEndian.AppendUint32(text, uint32(n)) }
	data := func(s string) { number(int64(len(s))); text = append(text, s...) }
	principal := func(name string) {
		parts := strings.Split(name, "/")
		number(int64(nametype.KRB_NT_PRINCIPAL))
		number(int64(len(parts)))
		data(realm)
		for _, part := range parts {
			data(part)
		}
	}
	principal("ada")
	begun := time.Now().Add(-time.Hour)
	for _, name := range services {
		ticket, session, err := messages.NewTicket(types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "ada"), realm,
			types.NewPrincipalName(nametype.KRB_NT_SRV_INST, name), realm, types.NewKrbFlags(), keys, etypeID.AES256_CTS_HMAC_SHA1_96, 3, begun, begun, until, until)
		check(t, err)
		der, err := ticket.Marshal()
		check(t, err)
		principal("ada")
		principal(name)
		text = binary.BigEndian.AppendUint16(text, uint16(session.KeyType))
		data(string(session.KeyValue))
		for _, at := range []time.Time{begun, begun, until, until} {
			number(at.Unix())
		}
		text = append(text, 0, 0, 0, 0, 0)
		number(0)
		number(0)
		data(string(der))
		data("")
	}
	return text
}

// TestTheTicketOfKinitIsOffered, and the acceptor lets its owner in. The ticket for the
// server is in the file already, so that no server of the realm is asked;
// test/directory asks a real one.
func TestTheTicketOfKinitIsOffered(t *testing.T) {
	keys := keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96)
	path := filepath.Join(t.TempDir(), "tickets")
	nobody := filepath.Join(t.TempDir(), "krb5.conf") // where nobody answers, lest DNS is asked
	check(t, os.WriteFile(nobody, []byte("[realms]\n "+realm+" = {\n  kdc = 127.0.0.1:1\n }\n"), 0o600))
	t.Setenv("KRB5_CONFIG", nobody)
	a := acceptor(t, keys)
	both := cacheOf(t, withTGS(t, keys), time.Now().Add(time.Hour), "krbtgt/"+realm, service)
	check(t, os.WriteFile(path, both, 0o600))
	for _, name := range []string{path, "FILE:" + path} {
		t.Setenv("KRB5CCNAME", name)
		token, err := Offer("VMS.example.com")
		check(t, err)
		ticket, err := a.Accept(token, fromNowhere)
		if err != nil || ticket.User != "ada@EXAMPLE.COM" {
			t.Errorf("%s: found %+v, %v", name, ticket, err)
		}
	}
	for size := range both { // never a panic
		check(t, os.WriteFile(path, both[:size], 0o600))
		if _, err := Offer("vms.example.com"); err != nil && understudy.CodeOf(err) != understudy.CodeUnauthenticated {
			t.Errorf("the first %d bytes: %v", size, err)
		}
	}
}

// withTGS adds the key of the realm itself.
func withTGS(t *testing.T, keys *keytab.Keytab) *keytab.Keytab {
	t.Helper()
	check(t, keys.AddEntry("krbtgt/"+realm, realm, "secret", time.Now(), 3, etypeID.AES256_CTS_HMAC_SHA1_96))
	return keys
}

func TestWhoHasNoTicketIsToldWhatToDo(t *testing.T) {
	keys := withTGS(t, keysOf(t, "secret", 3, etypeID.AES256_CTS_HMAC_SHA1_96))
	dir := t.TempDir()
	path, none, broken := filepath.Join(dir, "tickets"), filepath.Join(dir, "none"), filepath.Join(dir, "broken.conf")
	check(t, os.WriteFile(broken, []byte("[libdefaults]\n dns_lookup_kdc\n"), 0o600))
	good := cacheOf(t, keys, time.Now().Add(time.Hour), "krbtgt/"+realm)
	for name, c := range map[string]struct {
		cache, config string
		content       []byte
		words         string
	}{
		"no file":                {none, none, nil, "run kinit"},
		"tickets in the kernel":  {"KEYRING:persistent:1000", none, nil, "KRB5CCNAME=FILE:"},
		"tickets with a daemon":  {"KCM:", none, nil, "KRB5CCNAME=FILE:"},
		"a file of another kind": {path, none, []byte("nonsense"), "kinit"},
		"an empty file":          {path, none, []byte{}, "damaged"},
		"an expired ticket":      {path, none, cacheOf(t, keys, time.Now().Add(-time.Minute), "krbtgt/"+realm), "expired at"},
		"no ticket of the realm": {path, none, cacheOf(t, keys, time.Now().Add(time.Hour), service), "no ticket of the realm"},
		"a broken configuration": {path, broken, good, "KRB5_CONFIG"},
	} {
		t.Setenv("KRB5CCNAME", c.cache)
		t.Setenv("KRB5_CONFIG", c.config)
		if c.content != nil {
			check(t, os.WriteFile(path, c.content, 0o600))
		}
		_, err := Offer("vms.example.com")
		requireRefusal(t, name, err, understudy.CodeUnauthenticated, c.words)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than a sentence: %v", name, err)
		}
	}
}
