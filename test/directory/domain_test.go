package directory_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
	"understudy/internal/directory"
	"understudy/internal/site"
)

// domain is a Samba Active Directory domain, on a machine of its own: a network
// namespace with a cable to this one.
type domain struct {
	realm
	address string
	sids    map[string]string // of its groups, by name
	process *site.Process
}

func newDomain(t *testing.T) domain {
	t.Helper()
	needed(t, "curl", "kinit", "samba", "samba-tool", "ip", "unshare")
	if os.Geteuid() != 0 {
		t.Skip("a domain controller needs fixed ports, so that a namespace of its own, so that root; run as root to have it")
	}
	dir, err := os.MkdirTemp("", "udc") // a short path: there are sockets in it
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	d := domain{realm: realm{dir: dir}, address: "10.213." + fmt.Sprint(1+os.Getpid()%250) + ".1"}
	machine, cable := fmt.Sprintf("understudy-dc-%d", os.Getpid()), fmt.Sprintf("udc%d", os.Getpid())
	here := strings.TrimSuffix(d.address, "1") + "2"
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", machine).Run() }) // the cable goes with it
	for _, command := range []string{
		"netns add " + machine,
		"link add " + cable + " type veth peer name eth0 netns " + machine,
		"addr add " + here + "/30 dev " + cable,
		"link set " + cable + " up",
		"-n " + machine + " addr add " + d.address + "/30 dev eth0",
		"-n " + machine + " link set lo up",
		"-n " + machine + " link set eth0 up",
	} {
		run(t, nil, "", append([]string{"ip"}, strings.Fields(command)...)...)
	}
	d.provision(t)
	d.process = site.NewProcess("samba", filepath.Join(dir, "log"), "ip", "netns", "exec", machine, "unshare", "--pid", "--fork", "--kill-child",
		"samba", "--foreground", "--no-process-group", "--configfile", d.conf())
	check(t, d.process.Start())
	t.Cleanup(func() { _ = d.process.Signal(os.Kill); <-d.process.Gone() })
	eventually(t, "the domain controller to listen", func(ctx context.Context) bool {
		if !d.process.Running() {
			said, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("samba ended: %s", said)
		}
		for _, port := range []string{"88", "389", "636"} {
			var dialer net.Dialer
			c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(d.address, port))
			if err != nil {
				return false
			}
			_ = c.Close()
		}
		return true
	})
	return d
}

func (d domain) conf() string { return filepath.Join(d.dir, "dc/etc/smb.conf") }

// provision makes the domain's database, certificate and people.
func (d *domain) provision(t *testing.T) {
	t.Helper()
	run(t, nil, "", "samba-tool", "domain", "provision", "--realm="+realmName, "--domain=UNDERSTUDY", "--adminpass=Passw0rd.admin", "--server-role=dc",
		"--dns-backend=NONE", "--targetdir="+filepath.Join(d.dir, "dc"), "--host-name=dc1", "--host-ip="+d.address)
	// Only what a domain needs for this, and nothing in folders that another one would use.
	settings := []string{"server services = rpc, ldap, cldap, kdc", "tls certfile = " + d.dir + "/dc.pem", "tls keyfile = " + d.dir + "/dc.key", "tls cafile = " + d.ca()}
	for _, place := range []string{"pid directory", "ncalrpc dir", "winbindd socket directory"} {
		settings = append(settings, place+" = "+d.dir+"/run")
	}
	text, err := os.ReadFile(d.conf())
	check(t, err)
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
		key, _, _ := strings.Cut(strings.TrimSpace(line), " =")
		return slices.Contains([]string{"dns forwarder", "server services", "log file", "logging"}, key)
	})
	at := slices.Index(lines, "[global]")
	check(t, os.WriteFile(d.conf(), []byte(strings.Join(slices.Insert(lines, at+1, settings...), "\n")), 0o600))
	check(t, os.Mkdir(filepath.Join(d.dir, "run"), 0o755))
	d.certify(t)
	out := run(t, nil, "", "/usr/bin/python3", "../domain.py", d.conf(), d.keytab())
	check(t, json.Unmarshal([]byte(out[strings.IndexByte(out, '{'):strings.LastIndexByte(out, '}')+1]), &d.sids))
	d.configure(t, d.address)
}

func (d domain) ca() string { return filepath.Join(d.dir, "ca.pem") }

// certify gives the controller a certificate: its own has a negative serial
// number and no names, and is believed by nobody.
func (d domain) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	own := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dc1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(d.address)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	for name, block := range map[string]*pem.Block{
		"dc.pem": {Type: "CERTIFICATE", Bytes: der}, "ca.pem": {Type: "CERTIFICATE", Bytes: der}, "dc.key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		d.write(t, name, string(pem.EncodeToMemory(block)))
	}
}

// ldap is how its groups are asked for.
func (d domain) ldap(t *testing.T, urls ...string) *directory.LDAP {
	t.Helper()
	d.write(t, "password", "Passw0rd.svc-vms\n")
	return &directory.LDAP{URLs: urls, Base: "DC=understudy,DC=test", BindDN: "svc-vms@understudy.test", PasswordFile: filepath.Join(d.dir, "password"), CAFile: d.ca()}
}

func (d domain) settings(grants ...any) map[string]any {
	return map[string]any{"kerberos": map[string]any{"keytab": d.keytab()}, "grants": grants}
}

func groupGrant(group string, role understudy.UserRole) map[string]any {
	return map[string]any{"group": group, "role": role, "cameras": []string{"*"}}
}

// TestDomain: who is in a group within a group within a group has its rights, by
// the ticket and by LDAP, and while the domain cannot be asked nobody new comes.
func TestDomain(t *testing.T) {
	d := newDomain(t)
	ada, vera, eve := d.signsIn(t, "ada", "Passw0rd.ada"), d.signsIn(t, "vera", "Passw0rd.vera"), d.signsIn(t, "eve", "Passw0rd.eve")
	ask := func(p person, s server, path string, more ...string) answer {
		return p.curl(t, append([]string{"--cacert", s.ca, "--negotiate", "--user", ":", "https://" + local(s.secure) + "/api/v1" + path}, more...)...)
	}

	t.Run("the groups in the ticket", func(t *testing.T) {
		s := serve(t, d.settings(groupGrant(d.sids["Building"], understudy.RoleOperator)))
		ask(ada, s, "/me").require(t, "ada, who is in Guards in Security in Building", 200, `"user":"ada@`+realmName+`"`, `"playback"`)
		ask(vera, s, "/me").require(t, "vera, who is in none of them", 403, "vera@"+realmName, "grants")
	})

	t.Run("LDAP", func(t *testing.T) {
		for _, url := range []string{"ldaps://" + d.address, "ldap://" + d.address} {
			l := d.ldap(t, "ldaps://"+d.address+":1", url) // nobody listens on the first
			check(t, l.Open())
			groups, err := l.Groups(t.Context(), "ada@"+realmName)
			check(t, err)
			for _, want := range []string{"Guards", "Security", "Building", "CN=Building,CN=Users,DC=understudy,DC=test", d.sids["Guards"], d.sids["Building"], d.sids["Domain Users"]} {
				if !slices.Contains(groups, want) {
					t.Errorf("%s: ada is in %s, was said to be in %v", url, want, groups)
				}
			}
			for _, stranger := range []string{"nobody", "*", "ada)(objectClass=*", "dc1$x"} {
				if _, err := l.Groups(t.Context(), stranger+"@"+realmName); understudy.CodeOf(err) != understudy.CodeForbidden {
					t.Errorf("%s: %q is not there, was answered %v", url, stranger, err)
				}
			}
		}
		for what, spoil := range map[string]func(*directory.LDAP){
			"a controller that nobody vouches for": func(l *directory.LDAP) { l.CAFile = "" },
			"another password": func(l *directory.LDAP) {
				l.PasswordFile = filepath.Join(d.dir, "other")
				d.write(t, "other", "wrong")
			},
			"an empty password": func(l *directory.LDAP) {
				l.PasswordFile = filepath.Join(d.dir, "empty")
				d.write(t, "empty", "\n")
			},
		} {
			l := d.ldap(t, "ldaps://"+d.address)
			spoil(l)
			check(t, l.Open())
			if groups, err := l.Groups(t.Context(), "ada@"+realmName); understudy.CodeOf(err) != understudy.CodeUnavailable {
				t.Errorf("%s: must be refused, got %v, %v", what, groups, err)
			}
		}
	})

	t.Run("the groups of LDAP by name, and what remains when it is away", func(t *testing.T) {
		settings := d.settings(groupGrant("security", understudy.RoleAdministrator), groupGrant("Domain Users", understudy.RoleViewer))
		l := d.ldap(t)
		settings["ldap"] = map[string]any{"urls": []string{"ldap://" + d.address}, "base": l.Base, "bind_dn": l.BindDN, "password_file": l.PasswordFile, "ca_file": l.CAFile}
		s := serve(t, settings)
		ask(ada, s, "/users").require(t, "ada, who is in Guards in Security", 200)
		run(t, eve.env, "", "kvno", "HTTP/localhost") // her ticket for this server is in her hands
		run(t, nil, "", "samba-tool", "user", "disable", "eve", "--configfile="+d.conf(), "-H", filepath.Join(d.dir, "dc/private/sam.ldb"))
		ask(eve, s, "/me").require(t, "eve, who has a ticket and was disabled since", 403, "no enabled account")
		var session understudy.Session
		check(t, json.Unmarshal([]byte(ask(ada, s, "/sign-in/ticket", "-H", "Content-Type: application/json", "-d", "{}").body), &session))
		run(t, vera.env, "", "kvno", "HTTP/localhost")

		check(t, d.process.Signal(os.Kill))
		<-d.process.Gone()
		ask(ada, s, "/users").require(t, "ada, whose groups were told", 200)
		vera.curl(t, "--cacert", s.ca, "--oauth2-bearer", string(session.Token), "https://"+local(s.secure)+"/api/v1/users").require(t, "a session", 200)
		ask(vera, s, "/me").require(t, "vera, who is new", 503, "directory")
	})
}
