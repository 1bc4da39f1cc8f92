package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"understudy"
	"understudy/internal/identity"
)

// trustedCA returns the CA certificate (PEM) that the user vouches for.
func trustedCA(cmd *cobra.Command, address, file, fingerprint string) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", understudy.Errorf(understudy.CodeInvalid, "the CA certificate could not be read: %w", err)
		}
		if _, err := identity.UserTLS(text); err != nil {
			return "", understudy.Errorf(understudy.CodeInvalid, "%s is not the installation's CA certificate; take the management server's ca.pem: %w", file, err)
		}
		return string(text), nil
	}
	text, err := fetchCA(cmd.Context(), address)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", understudy.Errorf(understudy.CodeInvalid, "%s sent no CA certificate; is it a management server?", address)
	}
	text = pem.EncodeToMemory(block) // the one that is vouched for, and none that stands behind it
	found := fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
	if fingerprint != "" {
		if !strings.EqualFold(strings.ReplaceAll(fingerprint, ":", ""), found) {
			return "", understudy.Errorf(understudy.CodeForbidden, "the CA of %s has fingerprint %s, not the one given; somebody else may answer there", address, found)
		}
		return string(text), nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The installation at %s has the CA certificate with SHA-256\n  %s\nIs it the one that the management server printed? [y/N] ", address, found)
	answer, err := readLine(cmd.InOrStdin())
	if err != nil || !strings.HasPrefix(strings.ToLower(answer), "y") {
		return "", understudy.Errorf(understudy.CodeForbidden, "not signed in: the CA was not confirmed; give --fingerprint or --ca")
	}
	return string(text), nil
}

// fetchPatience bounds how long an address is given to answer.
const fetchPatience = 10 * time.Second

// fetchCA reads the public certificate before anything can be verified: it is
// what the user is about to verify. Nothing else is ever sent this way.
func fetchCA(ctx context.Context, address string) ([]byte, error) {
	unverified := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}, Timeout: fetchPatience}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/v1/ca.pem", nil)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "an address is https://host or https://host:port, found %q", address)
	}
	response, err := unverified.Do(request)
	if err != nil {
		if cause, ok := errors.AsType[*net.OpError](err); ok {
			err = cause.Err // without the address, which is told already
		}
		return nil, understudy.Errorf(understudy.CodeUnavailable, "no management server answers at %s; check the address, and whether it runs: %w", address, err)
	}
	defer response.Body.Close()
	return io.ReadAll(io.LimitReader(response.Body, 1<<16))
}
