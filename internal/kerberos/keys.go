package kerberos

import (
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"understudy"
)

const maxKeytab = 1 << 20

// keys are those of a keytab, which is read again when the file is another: the
// password of a computer's account changes every month.
type keys struct {
	path string

	mu   sync.Mutex
	tab  *keytab.Keytab
	size int64
	at   time.Time
}

func openKeys(path string) (*keys, error) {
	k := &keys{path: path}
	return k, k.refresh()
}

// refresh reads the file if it is not the one that was read; on an error the keys stay.
func (k *keys) refresh() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.path)
	if err != nil {
		return understudy.Errorf(understudy.CodeInvalid, "the keytab cannot be read; kerberos.keytab names a file that this service may read: %w", err)
	}
	if k.tab != nil && info.Size() == k.size && info.ModTime().Equal(k.at) {
		return nil
	}
	tab, err := readKeytab(k.path, info)
	if err != nil {
		return err
	}
	k.tab, k.size, k.at = tab, info.Size(), info.ModTime()
	return nil
}

func readKeytab(path string, info fs.FileInfo) (tab *keytab.Keytab, err error) {
	defer func() {
		if recover() != nil { // the library believes the lengths in the file
			tab, err = nil, understudy.Errorf(understudy.CodeInvalid, "%s is no keytab; make one with ktpass, samba-tool domain exportkeytab or ktadd", path)
		}
	}()
	switch mode := info.Mode(); {
	case !mode.IsRegular() || info.Size() > maxKeytab:
		return nil, understudy.Errorf(understudy.CodeInvalid, "a keytab is a file of up to %d bytes, and %s is not", maxKeytab, path)
	case mode.Perm()&0o007 != 0:
		return nil, understudy.Errorf(understudy.CodeInvalid, "everyone may use the keytab %s (mode %04o), and whoever reads it can pose as any user: chmod 600 it", path, mode.Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "the keytab cannot be read; kerberos.keytab names a file that this service may read: %w", err)
	}
	tab = keytab.New()
	if err := tab.Unmarshal(text); err != nil {
		return nil, understudy.Errorf(understudy.CodeInvalid, "%s is no keytab; make one with ktpass, samba-tool domain exportkeytab or ktadd: %w", path, err)
	}
	for _, e := range tab.Entries {
		if strong(e.Key.KeyType) {
			return tab, nil
		}
	}
	return nil, understudy.Errorf(understudy.CodeInvalid, "the keytab %s has no AES key; make it again with AES for the account (ktpass -crypto AES256-SHA1)", path)
}

// strong leaves out RC4 and DES: RFC 8429 and RFC 6649.
func strong(kind int32) bool {
	return slices.Contains([]int32{etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96,
		etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192}, kind)
}

func (k *keys) realms() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var realms []string
	for _, e := range k.tab.Entries {
		realms = append(realms, e.Principal.Realm)
	}
	slices.Sort(realms)
	return slices.Compact(realms)
}

// open decrypts the part of t that the realm wrote and returns the key that did it.
func (k *keys) open(t *messages.Ticket) (types.EncryptionKey, error) {
	k.mu.Lock()
	tab := k.tab
	k.mu.Unlock()
	asked := t.SName.PrincipalNameString() + "@" + t.Realm
	if !strong(t.EncPart.EType) {
		return types.EncryptionKey{}, refuse("the Kerberos ticket for %.120q is encrypted by type %d, and AES is needed: let the account of the service use AES (msDS-SupportedEncryptionTypes 24), and get another ticket", asked, t.EncPart.EType)
	}
	var names, numbers []string
	for _, e := range tab.Entries {
		name := strings.Join(e.Principal.Components, "/") + "@" + e.Principal.Realm
		if !strings.EqualFold(name, asked) { // host names do not mind case, and clients write them as they like
			names = append(names, name)
			continue
		}
		numbers = append(numbers, strconv.FormatUint(uint64(e.KVNO), 10))
		number := t.EncPart.KVNO
		if e.Key.KeyType != t.EncPart.EType || number != 0 && e.KVNO != uint32(number) {
			continue
		}
		if err := t.Decrypt(e.Key); err != nil {
			return types.EncryptionKey{}, refuse("the Kerberos ticket for %.120q does not open with the key in the keytab, which is not the account's of today: make the keytab again: %w", asked, err)
		}
		return e.Key, nil
	}
	if len(numbers) == 0 {
		slices.Sort(names)
		return types.EncryptionKey{}, refuse("the Kerberos ticket is for %.120q, and this server is %s: use the address that stands there, or add that name to the account (setspn) and to the keytab", asked, list(slices.Compact(names)))
	}
	slices.Sort(numbers)
	return types.EncryptionKey{}, refuse("the Kerberos ticket for %.120q needs the key of number %d and type %d, and the keytab has the numbers %s: the account's password was changed since, make the keytab again",
		asked, t.EncPart.KVNO, t.EncPart.EType, list(slices.Compact(numbers)))
}
