package sqlstore

import (
	"cmp"
	"errors"
	"net/url"
	"os"
	"strings"

	"understudy"
	"understudy/internal/remote"
)

// passwordVariable is the environment's way to give a password that is in no file.
const passwordVariable = "UNDERSTUDY_STORE_PASSWORD"

// dsnURL is the DSN of a database server. The password is none of it, since a DSN
// stands in the arguments of processes and in messages.
type dsnURL struct {
	*url.URL
	query    url.Values
	password string
}

// parseDSN reads a DSN and takes the password from where it says, or from the environment.
func parseDSN(dsn string) (dsnURL, error) {
	parsed, err := url.Parse(dsn)
	if err != nil {
		return dsnURL{}, understudy.Errorf(understudy.CodeInvalid,
			"the store's DSN is no URL; special characters in it are written as %%XX, and several hosts as postgres:///database?host=one,two: %w", withoutURL(err))
	}
	if _, given := parsed.User.Password(); given {
		return dsnURL{}, understudy.Errorf(understudy.CodeInvalid,
			"the DSN of store %s has a password, which everybody on the machine could read; write password_file=/path/to/it in its query, or set %s", parsed.Redacted(), passwordVariable)
	}
	d := dsnURL{URL: parsed, query: parsed.Query()}
	if d.query.Has("password") {
		return dsnURL{}, understudy.Errorf(understudy.CodeInvalid,
			"the DSN of the store on %s has a password, which everybody on the machine could read; write password_file=/path/to/it instead, or set %s", parsed.Host, passwordVariable)
	}
	d.password = os.Getenv(passwordVariable)
	if file := d.query.Get("password_file"); file != "" {
		if d.password, err = remote.Secret("password_file of the store", file); err != nil {
			return dsnURL{}, err
		}
	}
	d.query.Del("password_file")
	return d, nil
}

// local reports whether all hosts are this machine.
func (d dsnURL) local() bool {
	for host := range strings.SplitSeq(cmp.Or(d.query.Get("host"), d.Hostname()), ",") {
		if host != "" && !strings.HasPrefix(host, "/") && !remote.IsHere(host) {
			return false
		}
	}
	return true
}

// setDefault sets what the DSN leaves open.
func (d dsnURL) setDefault(key, value string) {
	if !d.query.Has(key) {
		d.query.Set(key, value)
	}
}

// String is the DSN for the driver.
func (d dsnURL) String() string {
	u := *d.URL
	u.RawQuery = d.query.Encode()
	return u.String()
}

// withoutURL is what is wrong with a URL, which may have a password in it.
func withoutURL(err error) error {
	if wrong, ok := errors.AsType[*url.Error](err); ok {
		return wrong.Err
	}
	return err
}
