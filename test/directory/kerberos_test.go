package directory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/site"
)

const realmName = "UNDERSTUDY.TEST"

// realm is a Kerberos realm, and what its members need to know of it.
type realm struct {
	dir string
	env []string
}

// configure tells the members where the KDC is.
func (k *realm) configure(t *testing.T, kdc string) {
	t.Helper()
	k.write(t, "krb5.conf", fmt.Sprintf(`[libdefaults]
 default_realm = %[1]s
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
[realms]
 %[1]s = {
  kdc = %[2]s
 }
[domain_realm]
 localhost = %[1]s
 other.test = %[1]s
`, realmName, kdc))
	k.env = []string{"KRB5_CONFIG=" + filepath.Join(k.dir, "krb5.conf")}
}

// newKDC starts the MIT Kerberos server of a realm on loopback. It makes a realm with users and services, whose password is their name
// and "-password".
func newKDC(t *testing.T, users, services []string) realm {
	t.Helper()
	needed(t, "curl", "kinit", "/usr/sbin/krb5kdc", "/usr/sbin/kdb5_util", "/usr/sbin/kadmin.local")
	k := realm{dir: t.TempDir()}
	port := freePort(t)
	k.configure(t, fmt.Sprintf("127.0.0.1:%d", port))
	k.write(t, "kdc.conf", fmt.Sprintf(`[kdcdefaults]
 kdc_listen = 127.0.0.1:%[2]d
 kdc_tcp_listen = 127.0.0.1:%[2]d
[realms]
 %[1]s = {
  database_name = %[3]s/principal
  key_stash_file = %[3]s/stash
  acl_file = %[3]s/acl
  max_life = 10h
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
 }
`, realmName, port, k.dir))
	k.env = append(k.env, "KRB5_KDC_PROFILE="+filepath.Join(k.dir, "kdc.conf"))
	run(t, k.env, "", "/usr/sbin/kdb5_util", "create", "-s", "-r", realmName, "-P", "master-password")
	var script strings.Builder
	for _, name := range users {
		fmt.Fprintf(&script, "addprinc -pw %[1]s-password %[1]s\n", name)
	}
	for _, name := range services {
		fmt.Fprintf(&script, "addprinc -randkey %s\n", name)
	}
	fmt.Fprintf(&script, "ktadd -k %s %s\n", k.keytab(), services[0])
	run(t, k.env, script.String(), "/usr/sbin/kadmin.local", "-r", realmName)
	p := site.NewProcess("krb5kdc", filepath.Join(k.dir, "log"), append([]string{"env"}, append(k.env, "/usr/sbin/krb5kdc", "-n", "-r", realmName)...)...)
	check(t, p.Start())
	t.Cleanup(func() { _ = p.Signal(os.Kill); <-p.Gone() })
	eventually(t, "the KDC to listen", func(ctx context.Context) bool {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return k
}

// freePort is one that nobody had a moment ago; a KDC cannot choose by itself.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (k realm) keytab() string { return filepath.Join(k.dir, "http.keytab") }

func (k realm) write(t *testing.T, name, text string) {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600))
}

// signsIn is a person who has signed in to a computer of the realm.
func (k realm) signsIn(t *testing.T, name, password string) person {
	t.Helper()
	p := person{env: append([]string{"KRB5CCNAME=" + filepath.Join(t.TempDir(), "tickets")}, k.env...)}
	run(t, p.env, password+"\n", "kinit", name)
	return p
}

func grant(user string, role understudy.UserRole) map[string]any {
	return map[string]any{"user": user + "@" + realmName, "role": role, "cameras": []string{"*"}}
}

// TestTickets: with a ticket of a realm the site is seen on both ports, changed
// on the encrypted one, and nothing else than a ticket is good on the other.
func TestTickets(t *testing.T) {
	k := newKDC(t, []string{"ada", "vera", "eve"}, []string{"HTTP/localhost", "HTTP/other.test"})
	grants := []any{grant("ada", understudy.RoleAdministrator), grant("vera", understudy.RoleViewer)}
	open := serve(t, map[string]any{"kerberos": map[string]any{"keytab": k.keytab(), "plain_http": true}, "grants": grants})
	closed := serve(t, map[string]any{"kerberos": map[string]any{"keytab": k.keytab()}, "grants": grants})
	ada, vera, eve := k.signsIn(t, "ada", "ada-password"), k.signsIn(t, "vera", "vera-password"), k.signsIn(t, "eve", "eve-password")
	nobody := person{env: []string{"KRB5_CONFIG=/dev/null", "KRB5CCNAME=" + filepath.Join(t.TempDir(), "none")}}
	plain, secure := "http://"+local(open.plain), "https://"+local(open.secure)
	ticket := []string{"--negotiate", "--user", ":"}
	with := func(args ...string) []string {
		return append(append([]string{"--cacert", open.ca}, ticket...), args...)
	}

	t.Run("the site and the events on the port without TLS", func(t *testing.T) {
		channel := vera.listen(t, with(plain+"/api/v1/channel")...)
		vera.curl(t, with(plain+"/api/v1/site")...).require(t, "with a ticket", 200, `"cameras"`)
		without := nobody.curl(t, plain+"/api/v1/site")
		without.require(t, "without a ticket", 401, "sign in first")
		if without.challenge != "Negotiate" {
			t.Errorf("whoever has no ticket is asked for one, not by %q", without.challenge)
		}
		nobody.curl(t, with(plain+"/api/v1/channel")...).require(t, "without a ticket, the events", 401)
		eventually(t, "the snapshot on the channel", func(context.Context) bool { return strings.Contains(channel.out.String(), "event: site") })
		_, err := open.admin.PutRecordingServer(t.Context(), understudy.RecordingServer{ID: "rec1", Addresses: understudy.Addresses{Media: "10.0.0.1:7563", State: "10.0.0.1:11000", Merge: "10.0.0.1:5210"}})
		check(t, err)
		eventually(t, "the change on the channel", func(context.Context) bool { return strings.Contains(channel.out.String(), `"rec1"`) })
		// A client's right to listen is looked at again each 15 seconds, when its
		// ticket, which is good once, was seen already; a heartbeat comes each 5.
		eventually(t, "what follows the second look at who listens", func(context.Context) bool {
			return strings.Count(channel.out.String(), ": heartbeat") > 3
		})
		select {
		case <-channel.gone:
			t.Errorf("the channel ended: %s", channel.out)
		default:
		}
		if strings.Contains(channel.out.String(), "event: reset") {
			t.Errorf("the channel told its listener to come again: %s", channel.out)
		}
	})

	t.Run("no more than looking on the port without TLS", func(t *testing.T) {
		ada.curl(t, with(plain+"/api/v1/users")...).require(t, "the users", 403, "https")
		ada.curl(t, with("-X", "POST", "-d", "{}", plain+"/api/v1/sign-in/ticket")...).require(t, "a session", 403, "https")
		ada.curl(t, with("-X", "POST", plain+"/api/v1/media-tokens")...).require(t, "a media token", 403, "https")
		ada.curl(t, with("-X", "DELETE", plain+"/api/v1/servers/rec1")...).require(t, "a change", 403, "https")
		ada.curl(t, with(plain+"/relay/rec1/v1/cameras/lobby/live")...).require(t, "pictures", 403, "TLS")
		me := ada.curl(t, with(plain+"/api/v1/me")...)
		me.require(t, "who is asking", 200, `"user":"ada@`+realmName+`"`, `"actions":["status"]`)
		for what, args := range map[string][]string{
			"a password": {"--basic", "--user", "root:" + string(password)},
			"a session":  {"--oauth2-bearer", string(open.admin.Token())},
			"a cookie":   {"--cookie", "__Host-understudy=x"},
			"both":       {"--negotiate", "--user", ":", "--cookie", "__Host-understudy=x"},
		} {
			ada.curl(t, append(args, plain+"/api/v1/site")...).require(t, what, 403, "without TLS")
		}
		vera.curl(t, with(plain+"/api/v1/site?token=x")...).require(t, "a token in the address", 403, "without TLS")
	})

	t.Run("the encrypted port", func(t *testing.T) {
		vera.curl(t, with(secure+"/api/v1/site")...).require(t, "with a ticket", 200, `"cameras"`)
		if got := nobody.curl(t, "--cacert", open.ca, secure+"/api/v1/site"); got.status != 401 || got.challenge != "Negotiate" {
			t.Errorf("without a ticket: asked for one, not %d %q", got.status, got.challenge)
		}
		if got := nobody.curl(t, "--cacert", open.ca, "-H", "Sec-Fetch-Mode: cors", secure+"/api/v1/site"); got.status != 401 || got.challenge != "" {
			t.Errorf("a page is not made to show a browser's own window, but was answered %d %q", got.status, got.challenge)
		}
		eve.curl(t, with(secure+"/api/v1/site")...).require(t, "who has no role", 403, "eve@"+realmName, "grants")
		vera.curl(t, with(secure+"/api/v1/users")...).require(t, "a viewer among the users", 403)
		ada.curl(t, with(secure+"/api/v1/users")...).require(t, "what was shown in the clear could be used here, so that it administers nothing", 403)
		ada.curl(t, "--cacert", open.ca, "-H", "Authorization: NTLM TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAO5CAAAADw==", secure+"/api/v1/site").require(t, "NTLM", 401, "NTLM")
		ada.curl(t, "--cacert", open.ca, "-H", "Authorization: Negotiate TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAO5CAAAADw==", secure+"/api/v1/site").require(t, "NTLM within Negotiate", 401, "NTLM")
		other := ada.curl(t, with("--resolve", "other.test:"+port(open.secure)+":127.0.0.1", "--insecure", "https://other.test:"+port(open.secure)+"/api/v1/site")...)
		other.require(t, "a ticket for another name", 401, "HTTP/other.test", "HTTP/localhost")
	})

	t.Run("a session in place of tickets", func(t *testing.T) {
		secure := "https://" + local(closed.secure)
		with := func(args ...string) []string {
			return append(append([]string{"--cacert", closed.ca}, ticket...), args...)
		}
		body := ada.curl(t, with("-X", "POST", "-H", "Content-Type: application/json", "-d", "{}", secure+"/api/v1/sign-in/ticket")...)
		body.require(t, "signing in with a ticket", 200, `"ada@`+realmName+`"`)
		var session understudy.Session
		check(t, json.Unmarshal([]byte(body.body), &session))
		if left := time.Until(session.Expires); left > 10*time.Hour || left < 9*time.Hour {
			t.Errorf("the session ends with the ticket, in %s", left)
		}
		bearer := []string{"--cacert", closed.ca, "--oauth2-bearer", string(session.Token)}
		nobody.curl(t, append(bearer, secure+"/api/v1/users")...).require(t, "with the session", 200, `"root"`)
		nobody.curl(t, append(bearer, "-X", "POST", secure+"/api/v1/media-tokens")...).require(t, "a media token", 200, `"token"`)
		nobody.curl(t, append(bearer, "-X", "PUT", "-H", "Content-Type: application/json", "-d", `{"role":"viewer","cameras":["*"],"password":"correct horse battery"}`, secure+"/api/v1/users/bob")...).require(t, "a change", 200)
		ada.curl(t, with("-X", "DELETE", secure+"/api/v1/users/bob")...).require(t, "a change with a ticket", 204)
		events := nobody.curl(t, append(bearer, secure+"/api/v1/events")...)
		events.require(t, "the log", 200, `"actor":"user:ada@`+realmName+`"`, "ada@"+realmName+" signed in from 127.0.0.1", "User bob was deleted")
		ada.curl(t, with("http://"+local(closed.plain)+"/api/v1/site")...).require(t, "a ticket on the port without TLS, where that was not allowed", 403, "without TLS")
	})
}

// TestCommandsWithATicket: who has run kinit signs in with --ticket, and the session does what any other does.
func TestCommandsWithATicket(t *testing.T) {
	k := newKDC(t, []string{"ada", "eve"}, []string{"HTTP/localhost", "HTTP/other.test"})
	s := serve(t, map[string]any{"kerberos": map[string]any{"keytab": k.keytab()}, "grants": []any{grant("ada", understudy.RoleAdministrator)}})
	program, err := binary()
	check(t, err)
	as := func(p person) person {
		p.env = append([]string{"UNDERSTUDY_SESSION=" + filepath.Join(t.TempDir(), "session.json")}, p.env...)
		return p
	}
	signIn := func(address string) []string {
		return []string{program, "sign-in", address, "--ca", s.ca, "--ticket"}
	}
	refused := func(p person, words string, command ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), command[0], command[1:]...)
		c.Env = append(os.Environ(), p.env...)
		if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), words) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%v must be refused in a sentence with %q, and said %q, %v", command[1:], words, out, err)
		}
	}
	ada, eve := as(k.signsIn(t, "ada", "ada-password")), as(k.signsIn(t, "eve", "eve-password"))
	if said := run(t, ada.env, "", signIn("https://"+local(s.secure))...); !strings.Contains(said, "signed in as ada@"+realmName+" (administrator)") {
		t.Errorf("ada: %s", said)
	}
	if said := run(t, ada.env, "", program, "user", "list"); !strings.Contains(said, "root") {
		t.Errorf("the users: %s", said)
	}
	run(t, ada.env, "", program, "sign-out")
	refused(ada, "nobody is signed in", program, "user", "list")
	if said := run(t, ada.env, "", signIn("https://"+local(s.secure))...); !strings.Contains(said, "signed in as ada@") {
		t.Errorf("again, with the same tickets: %s", said)
	}
	refused(eve, "grants", signIn("https://"+local(s.secure))...)
	refused(ada, "HTTP/127.0.0.1", signIn("https://127.0.0.1:"+port(s.secure))...)
	run(t, ada.env, "", "kdestroy")
	refused(ada, "kinit", signIn("https://"+local(s.secure))...)
}

func local(address string) string { return "localhost:" + port(address) }

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
