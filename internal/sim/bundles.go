package sim

import (
	"time"

	"understudy"
	"understudy/internal/failover"
)

const (
	bundlePatience = 3 * time.Second
	openingTakes   = 5 * time.Millisecond
)

// sealer seals nothing: in a story nobody looks into what is not theirs.
type sealer struct{}

// SealBundle implements management.BundleSealer.
func (sealer) SealBundle(b understudy.Bundle, _, plain []byte) (understudy.Bundle, error) {
	b.Sealed = plain
	return b, nil
}

func verified(understudy.Bundle) error { return nil }

func unsealed(b understudy.Bundle) ([]byte, error) { return b.Sealed, nil }

// fetchBundles asks for the bundles, and goes on when they are here, or cannot be had.
func (f *standby) fetchBundles(then func()) {
	var came []understudy.Bundle
	f.s.authority.call(&f.machine, bundlePatience, func(a *authority, reply func(error)) {
		var err error
		came, err = a.m.Bundles(background, f.id, nil)
		reply(err)
	}, func(err error) {
		if err == nil {
			f.take(came)
		}
		then()
	})
}

func (f *standby) take(came []understudy.Bundle) {
	refused := func(home understudy.ServerID, err error) { f.s.say("%s refuses a bundle of %s: %v", f.id, home, err) }
	if f.shelf.Take(came, verified, refused) {
		f.kept.bundles = f.shelf.Kept()
	}
	for _, b := range came {
		f.sealed[b.Home] = true
	}
}

// open opens the bundles that are needed.
func (f *standby) open() {
	due := f.shelf.Due(f.want.Open)
	if len(due) == 0 {
		return
	}
	for _, h := range f.s.homes { // by id
		k, ok := due[h.id]
		if !ok {
			continue
		}
		f.after(openingTakes, func() {
			cameras, err := k.Content(h.id, unsealed)
			if err != nil {
				f.s.say("%s cannot record %s before the management server answers: %v", f.id, h.id, err)
				return
			}
			f.s.tally.Opened++
			f.step(failover.Observation{Opened: &k.Bundle, Material: cameras})
		})
	}
}
