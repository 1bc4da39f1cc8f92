package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"understudy"
)

func newAuthority(t testing.TB) *Authority {
	t.Helper()
	a, err := OpenAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// join makes a node as a joining server does.
func join(t testing.TB, a *Authority, id understudy.ServerID, role understudy.Role, hosts ...string) *Node {
	t.Helper()
	folder := t.TempDir()
	request, err := NewJoinRequest(folder)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := a.Sign(request, id, role, hosts, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := SaveNode(folder, certificate, a.Trust())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crafted makes a node around a certificate that Sign would not make.
func crafted(t testing.TB, a *Authority, edit func(*x509.Certificate)) *Node {
	t.Helper()
	n := join(t, a, "crafted", understudy.RoleRecording)
	was := n.current.Load()
	template := *was.certificate.Leaf
	edit(&template)
	der, err := x509.CreateCertificate(rand.Reader, &template, caOf(a).certificate, &n.key.PublicKey, caOf(a).key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	n.current.Store(&credentials{certificate: tls.Certificate{Certificate: [][]byte{der, caOf(a).certificate.Raw}, PrivateKey: n.key, Leaf: leaf}, trust: was.trust, signed: was.signed, believed: was.believed})
	return n
}

// meeting is what came of a connection, as each side saw it.
type meeting struct {
	clientErr, serverErr error
	peer                 understudy.Identity // that the server saw
	known                bool
	state, served        tls.ConnectionState // of the client and of the server
}

// meet connects client to server over loopback, and has the server send a byte:
// only with it does a TLS 1.3 client know that its certificate was accepted.
func meet(t testing.TB, server, client *tls.Config) meeting {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var m meeting
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := ln.Accept()
		if err != nil {
			m.serverErr = err
			return
		}
		conn := tls.Server(raw, server)
		defer conn.Close()
		if m.serverErr = conn.HandshakeContext(t.Context()); m.serverErr == nil {
			m.served = conn.ConnectionState()
			m.peer, m.known = PeerIdentity(&m.served)
			_, m.serverErr = conn.Write([]byte{1})
		}
	}()
	raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, client)
	if m.clientErr = conn.HandshakeContext(t.Context()); m.clientErr == nil {
		m.state = conn.ConnectionState()
		_, m.clientErr = io.ReadFull(conn, make([]byte, 1))
	}
	conn.Close()
	<-done
	return m
}

func TestServersOfAnInstallationKnowEachOtherWhateverTheAddress(t *testing.T) {
	a := newAuthority(t)
	management, err := a.Node("site", understudy.RoleManagement, []string{"vms.example"})
	if err != nil {
		t.Fatal(err)
	}
	recorder := join(t, a, "rec-1", understudy.RoleRecording, "10.0.0.11")
	standby := join(t, a, "fo-1", understudy.RoleFailover)
	for _, c := range []struct {
		name           string
		server, client *tls.Config
		want           understudy.Identity
	}{
		{"standby polls recorder", recorder.PeerTLS(), standby.ClientTLS("rec-1"), understudy.Identity{Server: "fo-1", Role: understudy.RoleFailover}},
		{"recorder asks management", management.ServerTLS(), recorder.ClientTLS(""), understudy.Identity{Server: "rec-1", Role: understudy.RoleRecording}},
		{"recorder asks management by id", management.ServerTLS(), recorder.ClientTLS("site"), understudy.Identity{Server: "rec-1", Role: understudy.RoleRecording}},
		{"management relays from recorder", recorder.ServerTLS(), management.ClientTLS("rec-1"), understudy.Identity{Server: "site", Role: understudy.RoleManagement}},
	} {
		m := meet(t, c.server, c.client)
		if m.clientErr != nil || m.serverErr != nil || !m.known || m.peer.String() != c.want.String() || m.peer.Role != c.want.Role {
			t.Errorf("%s: the server saw %s (%s), %v; the client %v", c.name, m.peer, m.peer.Role, m.serverErr, m.clientErr)
		}
		if m.state.Version != tls.VersionTLS13 {
			t.Errorf("%s: TLS version %x", c.name, m.state.Version)
		}
	}
}

func TestStrangersAreRefused(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	recorder := join(t, a, "rec-1", understudy.RoleRecording, "127.0.0.1")
	standby := join(t, a, "fo-1", understudy.RoleFailover)
	stranger := join(t, other, "fo-1", understudy.RoleFailover)
	strangeManagement, err := other.Node("management", understudy.RoleManagement, nil)
	if err != nil {
		t.Fatal(err)
	}
	expired := crafted(t, a, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	unborn := crafted(t, a, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	})
	nameless := crafted(t, a, func(c *x509.Certificate) { c.URIs = nil })
	twofold := crafted(t, a, func(c *x509.Certificate) {
		c.URIs = append(c.URIs, subject{a.Installation(), understudy.RoleManagement, "management"}.uri())
	})
	elsewhere := crafted(t, a, func(c *x509.Certificate) {
		c.URIs = []*url.URL{subject{other.Installation(), understudy.RoleFailover, "crafted"}.uri()}
	})
	impostor := crafted(t, a, func(c *x509.Certificate) { c.DNSNames = []string{serverName("rec-1"), managementName} })
	selfSigned := join(t, a, "fo-2", understudy.RoleFailover)
	template := *selfSigned.current.Load().certificate.Leaf
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &selfSigned.key.PublicKey, selfSigned.key)
	if err != nil {
		t.Fatal(err)
	}
	selfSigned.current.Store(&credentials{certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: selfSigned.key, Leaf: &template}, trust: selfSigned.current.Load().trust})
	old := standby.ClientTLS("rec-1")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	anonymous := standby.ClientTLS("rec-1")
	anonymous.GetClientCertificate = nil

	for name, clients := range map[string]struct{ server, client *tls.Config }{
		"no certificate":                         {recorder.PeerTLS(), anonymous},
		"TLS 1.2":                                {recorder.PeerTLS(), old},
		"TLS 1.2 of a user":                      {recorder.ServerTLS(), old},
		"client of another installation":         {recorder.PeerTLS(), withRoots(stranger.ClientTLS("rec-1"), a)},
		"client of another installation, users":  {recorder.ServerTLS(), withRoots(stranger.ClientTLS("rec-1"), a)},
		"client with an expired certificate":     {recorder.PeerTLS(), expired.ClientTLS("rec-1")},
		"client with a certificate to come":      {recorder.PeerTLS(), unborn.ClientTLS("rec-1")},
		"client that is no server":               {recorder.PeerTLS(), nameless.ClientTLS("rec-1")},
		"client that is two servers":             {recorder.PeerTLS(), twofold.ClientTLS("rec-1")},
		"client that claims other installation":  {recorder.PeerTLS(), elsewhere.ClientTLS("rec-1")},
		"client that signed its own":             {recorder.PeerTLS(), selfSigned.ClientTLS("rec-1")},
		"server of another installation":         {stranger.PeerTLS(), standby.ClientTLS("fo-1")},
		"server with an expired certificate":     {expired.PeerTLS(), standby.ClientTLS("crafted")},
		"server that signed its own":             {selfSigned.PeerTLS(), standby.ClientTLS("fo-2")},
		"server of another id":                   {recorder.PeerTLS(), standby.ClientTLS("rec-2")},
		"recorder in place of management":        {recorder.ServerTLS(), standby.ClientTLS("")},
		"names of a server without its URI":      {impostor.PeerTLS(), standby.ClientTLS("rec-1")},
		"names of management without its URI":    {impostor.PeerTLS(), standby.ClientTLS("")},
		"joining: another installation":          {strangeManagement.ServerTLS(), pinned(t, a)},
		"joining: recorder in place":             {recorder.ServerTLS(), pinned(t, a)},
		"joining: a CA that is only sent along":  {sendingCA(strangeManagement, a), pinned(t, a)},
		"joining: names of management only":      {impostor.ServerTLS(), pinned(t, a)},
		"joining: expired":                       {expired.ServerTLS(), pinned(t, a)},
		"user: server of another installation":   {stranger.ServerTLS(), user(t, a, "127.0.0.1")},
		"user: host that is not in certificate":  {recorder.ServerTLS(), user(t, a, "127.0.0.2")},
		"user: expired":                          {expired.ServerTLS(), user(t, a, "crafted.server.understudy.internal")},
		"user: server that wants servers only":   {recorder.PeerTLS(), user(t, a, "127.0.0.1")},
		"certificate shown to no authority":      {recorder.PeerTLS(), &tls.Config{InsecureSkipVerify: true}},
		"client: a CA certificate used as one's": {recorder.PeerTLS(), withCertificate(standby.ClientTLS("rec-1"), tls.Certificate{Certificate: [][]byte{caOf(a).certificate.Raw}, PrivateKey: caOf(a).key})},
	} {
		if m := meet(t, clients.server, clients.client); m.clientErr == nil || m.known {
			t.Errorf("%s: accepted (the server saw %s, %v)", name, m.peer, m.serverErr)
		}
	}
}

// withRoots lets a client believe the servers of a, so that it is the server that must refuse.
func withRoots(config *tls.Config, a *Authority) *tls.Config {
	config.RootCAs, config.VerifyConnection, config.InsecureSkipVerify = x509.NewCertPool(), nil, false
	config.RootCAs.AddCert(caOf(a).certificate)
	return config
}

func withCertificate(config *tls.Config, c tls.Certificate) *tls.Config {
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	return config
}

func sendingCA(n *Node, a *Authority) *tls.Config {
	c := n.current.Load().certificate
	c.Certificate = append(slices.Clone(c.Certificate), caOf(a).certificate.Raw)
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c}}
}

func pinned(t testing.TB, a *Authority) *tls.Config {
	t.Helper()
	token, err := a.JoinToken([]string{"https://10.0.0.1"}, "secret")
	if err != nil {
		t.Fatal(err)
	}
	return PinnedTLS(token)
}

func user(t testing.TB, a *Authority, host string) *tls.Config {
	t.Helper()
	config, err := UserTLS(a.CACertificate())
	if err != nil {
		t.Fatal(err)
	}
	config.ServerName = host
	return config
}

func TestJoiningServerKnowsItsManagementServerByThePinAlone(t *testing.T) {
	a := newAuthority(t)
	for _, id := range []understudy.ServerID{"management", "site-2"} {
		management, err := a.Node(id, understudy.RoleManagement, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m := meet(t, management.ServerTLS(), pinned(t, a)); m.clientErr != nil || m.known {
			t.Errorf("%s: %v, %v, saw %s", id, m.clientErr, m.serverErr, m.peer)
		}
	}
}

func TestUsersKnowServersByHostAndAreNotAskedForACertificate(t *testing.T) {
	a := newAuthority(t)
	recorder := join(t, a, "rec-1", understudy.RoleRecording, "Rec1.example", "localhost", "127.0.0.3", "fd00::11")
	for _, host := range []string{"rec1.example", "localhost", "127.0.0.3", "fd00::11"} {
		config := user(t, a, host)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.Errorf("%s: a browser would have been asked for a certificate, and its WebSockets refused", host)
			return &tls.Certificate{}, nil
		}
		if m := meet(t, recorder.ServerTLS(), config); m.clientErr != nil || m.known {
			t.Errorf("%s: %v, the server saw %s", host, m.clientErr, m.peer)
		}
	}
}

func TestAnUnverifiedPeerIsNobody(t *testing.T) {
	a := newAuthority(t)
	leaf := join(t, a, "rec-1", understudy.RoleRecording).current.Load().certificate.Leaf
	for name, state := range map[string]*tls.ConnectionState{
		"no state":    nil,
		"plain":       {},
		"only shown":  {PeerCertificates: []*x509.Certificate{leaf}},
		"a CA itself": {VerifiedChains: [][]*x509.Certificate{{caOf(a).certificate}}},
	} {
		if who, ok := PeerIdentity(state); ok || who.String() != "nobody" {
			t.Errorf("%s is %s", name, who)
		}
	}
}

func TestCertificatesAreOnesThatBrowsersAccept(t *testing.T) {
	a := newAuthority(t)
	leaf := join(t, a, "rec-1", understudy.RoleRecording, "rec1.example", "127.0.0.3").current.Load().certificate.Leaf
	if age := leaf.NotAfter.Sub(leaf.NotBefore); age > 398*24*time.Hour || age < 390*24*time.Hour {
		t.Errorf("it lasts %s; browsers refuse more than 398 days", age)
	}
	if leaf.NotBefore.After(time.Now().Add(-6 * 24 * time.Hour)) {
		t.Errorf("it begins at %s; a server whose clock is a few days behind would refuse it", leaf.NotBefore)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: mustRoots(t, a), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSName: "127.0.0.3"}); err != nil {
		t.Error(err)
	}
	if leaf.SerialNumber.Sign() <= 0 || leaf.SerialNumber.BitLen() < 64 || len(leaf.SerialNumber.Bytes()) > 20 {
		t.Errorf("serial number %s; 64 random bits and up to 20 bytes are wanted (RFC 5280 §4.1.2.2)", leaf.SerialNumber)
	}
	if !caOf(a).certificate.IsCA || !caOf(a).certificate.MaxPathLenZero || caOf(a).certificate.KeyUsage&x509.KeyUsageCertSign == 0 {
		t.Error("the CA certificate does not say that it signs leaves only")
	}
}

func mustRoots(t testing.TB, a *Authority) *x509.CertPool {
	t.Helper()
	roots, _, err := rootsOf(a.CACertificate())
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

func TestSignGivesNoNameAwayThatIsNotTheServers(t *testing.T) {
	a := newAuthority(t)
	request, err := NewJoinRequest(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id    understudy.ServerID
		role  understudy.Role
		hosts []string
		ttl   time.Duration
	}{
		"management's id":         {"management", understudy.RoleRecording, nil, 0},
		"no id":                   {"", understudy.RoleRecording, nil, 0},
		"id with a dot":           {"a.b", understudy.RoleRecording, nil, 0},
		"role that is none":       {"rec-1", "root", nil, 0},
		"management's name":       {"rec-1", understudy.RoleRecording, []string{"management.server.understudy.internal"}, 0},
		"management's name, caps": {"rec-1", understudy.RoleRecording, []string{"Management.Server.Understudy.INTERNAL"}, 0},
		"another server's name":   {"rec-1", understudy.RoleRecording, []string{"rec-2.server.understudy.internal"}, 0},
		"the domain":              {"rec-1", understudy.RoleRecording, []string{"understudy.internal"}, 0},
		"every name":              {"rec-1", understudy.RoleRecording, []string{"*"}, 0},
		"wildcard":                {"rec-1", understudy.RoleRecording, []string{"*.example"}, 0},
		"trailing dot":            {"rec-1", understudy.RoleRecording, []string{"a.example."}, 0},
		"a URL":                   {"rec-1", understudy.RoleRecording, []string{"https://a.example"}, 0},
		"a zero byte":             {"rec-1", understudy.RoleRecording, []string{"a.example\x00.evil"}, 0},
		"an empty host":           {"rec-1", understudy.RoleRecording, []string{""}, 0},
		"too many hosts":          {"rec-1", understudy.RoleRecording, slices.Repeat([]string{"10.0.0.1"}, 33), 0},
		"too long a life":         {"rec-1", understudy.RoleRecording, nil, 391 * 24 * time.Hour},
		"a life that is over":     {"rec-1", understudy.RoleRecording, nil, -time.Hour},
	} {
		if _, err := a.Sign(request, c.id, c.role, c.hosts, c.ttl); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestSignTakesTheKeyOfARequestAndNothingElse(t *testing.T) {
	a := newAuthority(t)
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	greedy, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		DNSNames: []string{managementName}, URIs: []*url.URL{subject{a.Installation(), understudy.RoleManagement, "management"}.uri()},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := a.Sign([]byte(encodePEM(pemRequest, greedy)), "rec-1", understudy.RoleRecording, nil, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := decodeCertificates(signed)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := subjectOf(chain[0]); err != nil || s.id != "rec-1" || !slices.Equal(chain[0].DNSNames, []string{serverName("rec-1")}) {
		t.Errorf("signed %+v %v, %v", s, chain[0].DNSNames, err)
	}

	forged := slices.Clone(greedy)
	forged[len(forged)-1] ^= 1 // of the signature
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ed, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, edKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]string{
		"nothing":            "",
		"not PEM":            "hello",
		"another PEM":        string(a.CACertificate()),
		"not DER":            encodePEM(pemRequest, []byte("hello")),
		"a broken signature": encodePEM(pemRequest, forged),
		"an Ed25519 key":     encodePEM(pemRequest, ed),
		"too much":           strings.Repeat(" ", maxPEM) + encodePEM(pemRequest, greedy),
	} {
		if _, err := a.Sign([]byte(request), "rec-1", understudy.RoleRecording, nil, 0); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARenewedCertificateIsUsedByConfigurationsAlreadyHandedOut(t *testing.T) {
	a := newAuthority(t)
	recorder, standby := join(t, a, "rec-1", understudy.RoleRecording), join(t, a, "fo-1", understudy.RoleFailover)
	server, client := recorder.PeerTLS(), standby.ClientTLS("rec-1")
	before := meet(t, server, client).state.PeerCertificates[0]
	request, err := recorder.RenewalRequest()
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := a.Sign(request, "rec-1", understudy.RoleRecording, []string{"new.example"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := recorder.Renew(renewed); err != nil {
		t.Fatal(err)
	}
	m := meet(t, server, client)
	if m.clientErr != nil || m.state.PeerCertificates[0].Equal(before) || !slices.Equal(recorder.Hosts(), []string{"new.example"}) {
		t.Errorf("after renewal: %v, hosts %v", m.clientErr, recorder.Hosts())
	}
	loaded, err := LoadNode(recorder.folder)
	if err != nil || !slices.Equal(loaded.Hosts(), []string{"new.example"}) {
		t.Errorf("after a restart: %v", err)
	}
	othersRequest, err := standby.RenewalRequest()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		authority *Authority
		request   []byte
		id        understudy.ServerID
		role      understudy.Role
	}{
		"another id":           {a, request, "rec-2", understudy.RoleRecording},
		"another role":         {a, request, "rec-1", understudy.RoleFailover},
		"another installation": {newAuthority(t), request, "rec-1", understudy.RoleRecording},
		"another key":          {a, othersRequest, "rec-1", understudy.RoleRecording},
	} {
		certificate, err := c.authority.Sign(c.request, c.id, c.role, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := recorder.Renew(certificate); understudy.CodeOf(err) != understudy.CodeInvalid {
			t.Errorf("a certificate of %s: %v", name, err)
		}
	}
	if err := recorder.Renew(nil); understudy.CodeOf(err) != understudy.CodeInvalid {
		t.Errorf("no certificate: %v", err)
	}
	if m := meet(t, server, client); m.clientErr != nil {
		t.Errorf("after refused renewals: %v", m.clientErr)
	}
}

// caOf is the CA that signs servers' certificates.
func caOf(a *Authority) issuer { return a.issuing.Load().signs }
