package seal

import (
	"bytes"
	"encoding/json"
	"slices"

	"understudy"
)

// maxKeys bounds a ring: the newest, one that is being replaced, and those of files, of which a
// site has one, or a few where they were changed by versions that kept the ring in there.
const maxKeys = 16

var ringContext = []byte("understudy keyring")

// Ring is the keys of a site's secrets: it seals under the newest and opens under any. It is
// stored beside what it seals, and itself sealed under a key that everybody has who may open it,
// so that whoever reads a secret reads the ring that goes with it, and nobody is told of a new key.
// It is changed in two steps, between which all that is sealed is sealed anew: Begin and End.
type Ring struct {
	lock Key
	kept ringContent
	keys []Key // of kept.Keys, likewise
	grew bool
}

// ringContent is what is stored of a ring.
type ringContent struct {
	Keys []ringKey `json:"keys"` // the newest first
	// Changes is how many changes were begun.
	Changes int `json:"changes"`
	// Changing is there from Begin until End.
	Changing bool `json:"changing,omitempty"`
}

type ringKey struct {
	Secret []byte `json:"secret"`
	// Filed keys are of a file outside. They stay: there they are known on, and a server of before
	// there were stored rings, of which nobody here knows, seals under them.
	Filed bool `json:"filed,omitempty"`
}

// OpenRing opens what Stored returned, and takes in the keys of a file that are not in it. Where
// nothing is stored yet the first of these is the newest. CodeInvalid for another lock's, or
// damaged bytes.
func OpenRing(lock Key, stored []byte, filed [][]byte) (*Ring, error) {
	r := &Ring{lock: lock}
	if stored != nil {
		plain, err := lock.Open(stored, ringContext)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(plain, &r.kept); err != nil {
			return nil, understudy.Errorf(understudy.CodeInvalid, "expected a ring of keys as JSON: %w", err)
		}
	}
	for _, secret := range filed {
		if !slices.ContainsFunc(r.kept.Keys, func(k ringKey) bool { return bytes.Equal(k.Secret, secret) }) {
			r.kept.Keys, r.grew = append(r.kept.Keys, ringKey{secret, true}), true
		}
	}
	if n := len(r.kept.Keys); n == 0 || n > maxKeys {
		return nil, understudy.Errorf(understudy.CodeInvalid, "a ring has 1 to %d keys, found %d", maxKeys, n)
	}
	return r, r.open()
}

func (r *Ring) open() error {
	r.keys = make([]Key, len(r.kept.Keys))
	for i, k := range r.kept.Keys {
		var err error
		if r.keys[i], err = NewKey(k.Secret); err != nil {
			return err
		}
	}
	return nil
}

// Grew reports whether the ring took in keys since it was stored.
func (r *Ring) Grew() bool { return r.grew }

// Stored returns what to store of the ring.
func (r *Ring) Stored() ([]byte, error) {
	plain, err := json.Marshal(r.kept)
	if err != nil {
		return nil, understudy.Errorf(understudy.CodeInternal, "a ring of keys cannot be written as JSON: %w", err)
	}
	return r.lock.Seal(plain, ringContext), nil
}

// Seal encrypts plain under the newest key; Open needs the same context.
func (r *Ring) Seal(plain, context []byte) []byte { return r.keys[0].Seal(plain, context) }

// Open is the inverse of Seal, and says whether it was the newest key under which plain was
// sealed. CodeInvalid for what none of the keys opens.
func (r *Ring) Open(sealed, context []byte) (plain []byte, newest bool, err error) {
	for i, key := range r.keys {
		if plain, err = key.Open(sealed, context); err == nil {
			return plain, i == 0, nil
		}
	}
	return nil, false, err
}

// Begin puts a new key in front, unless a change is under way: then that one goes on. It returns
// the change's number.
func (r *Ring) Begin() (change int, err error) {
	if r.kept.Changing {
		return r.kept.Changes, nil
	}
	r.kept.Keys = slices.Insert(r.kept.Keys, 0, ringKey{Secret: randomSecret()})
	r.kept.Changes++
	r.kept.Changing = true
	return r.kept.Changes, r.open()
}

// Changing reports whether the change of that number is under way.
func (r *Ring) Changing(change int) bool { return r.kept.Changing && r.kept.Changes == change }

// End forgets the keys before the newest, save those of files. Nothing is sealed under them any more.
func (r *Ring) End() error {
	older := slices.DeleteFunc(slices.Clone(r.kept.Keys[1:]), func(k ringKey) bool { return !k.Filed })
	r.kept.Keys = append(r.kept.Keys[:1:1], older...)
	r.kept.Changing = false
	return r.open()
}
