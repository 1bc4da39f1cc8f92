// Package remote is what all share that speak to systems of others: whose
// certificates to believe there, what secret to show, and whether it is far at all.
package remote

import (
	"crypto/x509"
	"net/netip"
	"os"
	"strings"

	"understudy"
)

// Roots returns the authorities in a file of PEM; nil, the system's, for no
// file. setting is where the file was named, for the error: CodeInvalid.
func Roots(setting, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "%s cannot be read: %w", setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, understudy.Errorf(understudy.CodeInvalid, "%s is a file of certificates in PEM, and %s has none", setting, file)
	}
	return pool, nil
}

// Secret returns what a file holds but for the end of its line; "" for no file.
// It is read whenever it is needed, so that it can be changed. setting is where
// the file was named, for the error, which has nothing of the content: CodeInvalid.
func Secret(setting, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", understudy.Errorf(understudy.CodeInvalid, "%s cannot be read: %w", setting, err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// IsHere reports whether a host, a name or an address, is this machine whatever
// the network says.
func IsHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
