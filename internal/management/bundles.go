package management

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"understudy"
)

// BundleSealer encrypts a bundle to the failover server that it names, and signs it.
type BundleSealer interface {
	SealBundle(b understudy.Bundle, key, plain []byte) (understudy.Bundle, error)
}

// bundles remembers what was made last, so that a bundle is made anew on change
// only. It holds no password: of what is in a bundle it keeps the sum.
type bundles struct {
	mu   sync.Mutex
	made map[bundleOf]madeBundle
}

type bundleOf struct{ server, home understudy.ServerID }

type madeBundle struct {
	sum    [32]byte // of the content and the key
	bundle understudy.Bundle
}

// Bundles returns what a failover server may open when nobody can be asked: for
// each home that it may have to play, the cameras with their credentials, those
// included that it stands by for in cold. Epochs are not in it: a takeover
// changes no bundle.
func (m *Management) Bundles(ctx context.Context, server understudy.ServerID, key []byte) ([]understudy.Bundle, error) {
	if m.seals == nil {
		return nil, understudy.Errorf(understudy.CodeUnavailable, "this management server seals no bundles")
	}
	var seq uint64
	contents := map[understudy.ServerID][]understudy.AssignedCamera{}
	err := m.store.View(ctx, func(r Reader) error {
		clear(contents)
		site, err := r.Site()
		if err != nil {
			return err
		}
		seq = site.Seq
		if _, ok := site.FailoverServer(server); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no failover server %q", string(server))
		}
		theirs := selectCameras(site, func(c understudy.Camera) bool {
			_, _, ok := site.Standby(c, server)
			return ok
		})
		assigned, err := m.assign(r, theirs, func(c understudy.Camera) understudy.AssignedCamera {
			return understudy.AssignedCamera{Camera: c, Record: c.Failover == understudy.SupportFull}
		})
		for _, c := range assigned {
			contents[c.Camera.Home] = append(contents[c.Camera.Home], c)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make([]understudy.Bundle, 0, len(contents))
	for _, home := range slices.Sorted(maps.Keys(contents)) {
		b, err := m.bundle(understudy.Bundle{Server: server, Home: home, Seq: seq, Made: m.now()}, key, contents[home])
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// bundle returns the one that was made last if nothing has changed since.
func (m *Management) bundle(b understudy.Bundle, key []byte, cameras []understudy.AssignedCamera) (understudy.Bundle, error) {
	plain, err := json.Marshal(cameras)
	if err != nil {
		return b, understudy.Errorf(understudy.CodeInternal, "a bundle cannot be written as JSON: %w", err)
	}
	sum := sha256.Sum256(append(append([]byte{}, key...), plain...))
	of := bundleOf{b.Server, b.Home}
	m.bundles.mu.Lock()
	defer m.bundles.mu.Unlock()
	if last, ok := m.bundles.made[of]; ok && last.sum == sum {
		return last.bundle, nil
	}
	if b, err = m.seals.SealBundle(b, key, plain); err != nil {
		return b, err
	}
	m.bundles.made[of] = madeBundle{sum, b}
	return b, nil
}
