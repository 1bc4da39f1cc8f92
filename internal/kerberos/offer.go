package kerberos

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"understudy"
)

// maxFile bounds the file of tickets and the configuration.
const maxFile = 4 << 20

// Offer returns a Negotiate token for the web server of a host, of whoever owns
// the tickets that kinit keeps: in the file of KRB5CCNAME, or where MIT Kerberos
// has it by default. The realm is found by KRB5_CONFIG, /etc/krb5.conf, or DNS, and is asked for
// a ticket for HTTP/host. CodeUnauthenticated with a sentence that says what to do.
func Offer(host string) (token []byte, err error) {
	path, err := cachePath()
	if err != nil {
		return nil, err
	}
	// The library indexes what it reads of the file without a look at its length.
	defer func() {
		if recover() != nil {
			token, err = nil, refuse("the Kerberos tickets in %s are damaged; get others: kinit", path)
		}
	}()
	tickets, err := readCache(path)
	if err != nil {
		return nil, err
	}
	settings, err := readConfig()
	if err != nil {
		return nil, err
	}
	owner, err := client.NewFromCCache(tickets, settings)
	if err != nil {
		return nil, refuse("the Kerberos tickets in %s are damaged; get others: kinit: %w", path, oneLine(err))
	}
	defer owner.Destroy()
	initiator := spnego.SPNEGOClient(owner, "HTTP/"+strings.ToLower(host)) // as realms have hosts
	offered, err := initiator.InitSecContext()
	if err != nil {
		return nil, refuse("the realm %s gives no ticket for HTTP/%.200s; use the host name that is in the keytab of the management server, and see that the realm's servers can be reached: %w",
			tickets.GetClientRealm(), host, oneLine(err))
	}
	return offered.Marshal()
}

// cachePath is the file in which kinit keeps tickets.
func cachePath() (string, error) {
	name := os.Getenv("KRB5CCNAME")
	kind, path, named := strings.Cut(name, ":")
	switch {
	case name == "":
		return fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid()), nil
	case named && kind == "FILE":
		return path, nil
	case filepath.IsAbs(name):
		return name, nil
	}
	return "", refuse("Kerberos tickets are read from files, and KRB5CCNAME is %.200q: export KRB5CCNAME=FILE:$HOME/tickets, and run kinit again", name)
}

func readCache(path string) (*credentials.CCache, error) {
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("there are no Kerberos tickets in %s; run kinit. If `klist` shows some elsewhere than in a file: export KRB5CCNAME=FILE:$HOME/tickets, and run kinit again", path)
	}
	tickets := new(credentials.CCache)
	if err == nil {
		err = tickets.Unmarshal(text)
	}
	if err != nil {
		return nil, refuse("the Kerberos tickets in %s could not be read; get others: kinit: %w", path, oneLine(err))
	}
	realm := tickets.GetClientRealm()
	first, ok := tickets.GetEntry(types.PrincipalName{NameType: nametype.KRB_NT_SRV_INST, NameString: []string{"krbtgt", realm}})
	switch {
	case !ok:
		return nil, refuse("in %s is no ticket of the realm %.200s by which others can be had; get one: kinit", path, realm)
	case !time.Now().Before(first.EndTime):
		return nil, refuse("the Kerberos ticket in %s expired at %s; get another one: kinit", path, first.EndTime.Format(time.RFC3339))
	}
	return tickets, nil
}

// readConfig reads what the computer knows of realms. Without a file they are found by DNS, as MIT Kerberos does.
func readConfig() (*config.Config, error) {
	path := "/etc/krb5.conf"
	if named := os.Getenv("KRB5_CONFIG"); named != "" {
		path, _, _ = strings.Cut(named, ":") // of several files the first
	}
	settings := config.New()
	text, err := readBounded(path)
	if err == nil {
		settings, err = config.NewFromString(string(text))
		if _, unsupported := errors.AsType[config.UnsupportedDirective](err); unsupported {
			err = nil // the rest was read
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, refuse("what this computer knows of Kerberos realms could not be read (%s); mend it, or name another file in KRB5_CONFIG: %w", path, oneLine(err))
	}
	settings.LibDefaults.DNSLookupKDC = true // of realms whose servers the file does not name
	return settings, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = understudy.Errorf(understudy.CodeInvalid, "it is larger than %d bytes", maxFile)
	}
	return text, err
}

// oneLine is what the library says, in a line.
func oneLine(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}
