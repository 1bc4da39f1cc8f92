package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"understudy"
)

const (
	caAge = 25 * 365 * 24 * time.Hour
	// A certificate begins a week before it was made, so that a server whose
	// clock is behind by days is still believed. Browsers refuse certificates of
	// more than 398 days (CA/Browser Forum Baseline Requirements §6.3.2), and
	// the week counts.
	backdated  = 7 * 24 * time.Hour
	longestAge = 397*24*time.Hour - backdated
	maxHosts   = 32
)

const (
	pemCertificate = "CERTIFICATE"
	pemRequest     = "CERTIFICATE REQUEST"
	pemKey         = "PRIVATE KEY"
)

// newCA makes the certificate at the root of an installation. It signs leaves
// only.
func newCA(installation string, key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Understudy"}, CommonName: "Understudy installation " + installation},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(caAge),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, internal("make the CA certificate", err)
	}
	return x509.ParseCertificate(der)
}

// newLeaf makes a server's certificate (DER) that is valid from a week before
// now until now+age.
func newLeaf(ca *x509.Certificate, caKey crypto.Signer, key *ecdsa.PublicKey, s subject, hosts []string, now time.Time, age time.Duration) ([]byte, error) {
	names, addresses, err := splitHosts(hosts)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"Understudy"}, CommonName: string(s.id)},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.Add(age),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:              append(s.names(), names...),
		IPAddresses:           addresses,
		URIs:                  []*url.URL{s.uri()},
	}, ca, key, caKey)
	if err != nil {
		return nil, internal("sign a certificate", err)
	}
	return der, nil
}

var hostPattern = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// splitHosts tells names from addresses. The names by which servers know each
// other are never given away as hosts.
func splitHosts(hosts []string) (names []string, addresses []net.IP, err error) {
	if len(hosts) > maxHosts {
		return nil, nil, understudy.Errorf(understudy.CodeInvalid, "a server has up to %d host names and addresses, and %d were given", maxHosts, len(hosts))
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			addresses = append(addresses, ip)
			continue
		}
		name := strings.ToLower(host)
		if len(name) > 253 || !hostPattern.MatchString(name) {
			return nil, nil, understudy.Errorf(understudy.CodeInvalid, "expected a host name or an IP address, found %.80q", host)
		}
		if name == internalDomain || strings.HasSuffix(name, "."+internalDomain) {
			return nil, nil, understudy.Errorf(understudy.CodeForbidden, "names below %s say which server it is and cannot be asked for; found %q", internalDomain, name)
		}
		names = append(names, name)
	}
	return names, addresses, nil
}

// hostsOf is the inverse of splitHosts.
func hostsOf(cert *x509.Certificate) []string {
	var hosts []string
	for _, name := range cert.DNSNames {
		if !strings.HasSuffix(name, "."+internalDomain) {
			hosts = append(hosts, name)
		}
	}
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, internal("make a key", err)
	}
	return key, nil
}

func encodeKey(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", internal("encode a key", err)
	}
	return encodePEM(pemKey, der), nil
}

func decodeKey(text string) (*ecdsa.PrivateKey, error) {
	block, err := onePEM(pemKey, []byte(text))
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected a private key in PKCS #8: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected an ECDSA key, found a %T", parsed)
	}
	return key, nil
}

// newRequest makes a certificate request (PEM). It names nobody: the authority
// knows whom it answers.
func newRequest(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, internal("make a certificate request", err)
	}
	return []byte(encodePEM(pemRequest, der)), nil
}

// requestedKey returns the key of a certificate request, proven to be in the
// hands of who made it.
func requestedKey(csrPEM []byte) (*ecdsa.PublicKey, error) {
	der, err := onePEM(pemRequest, csrPEM)
	if err != nil {
		return nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected a certificate request: %w", err)
	}
	key, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a certificate request here has an ECDSA P-256 key, found a %T", request.PublicKey)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the certificate request is not signed by its own key: %w", err)
	}
	return key, nil
}

const maxPEM = 64 << 10

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// onePEM returns what is in the first block of text.
func onePEM(kind string, text []byte) ([]byte, error) {
	if len(text) > maxPEM {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected a %s of up to %d bytes, found %d", kind, maxPEM, len(text))
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected PEM that begins with -----BEGIN %s-----", kind)
	}
	return block.Bytes, nil
}

const maxChain = 8

// decodeCertificates returns all certificates in text, at least one.
func decodeCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxPEM {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected certificates of up to %d bytes, found %d", maxPEM, len(text))
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != pemCertificate || len(certs) == maxChain {
			return nil, understudy.Errorf(understudy.CodeInvalid, "expected up to %d certificates as PEM, found more, or a %.40q", maxChain, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, understudy.Errorf(understudy.CodeInvalid, "expected a certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, understudy.Errorf(understudy.CodeInvalid, "expected PEM that begins with -----BEGIN %s-----", pemCertificate)
	}
	return certs, nil
}

func internal(act string, err error) error {
	return understudy.Errorf(understudy.CodeInternal, "identity could not %s: %w", act, err)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
