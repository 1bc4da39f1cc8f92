package drill

import (
	"context"
	"errors"
	"syscall"

	"understudy"
	"understudy/internal/site"
)

// A drill without the management server: it is killed just before the fault, and
// the recording server's part is played, and watched, with nobody to ask. It is
// back before the recording server is.

// loseManagement kills the management server. The watching clients have signed in before.
func (r *rehearsal) loseManagement(context.Context) error {
	p, _ := r.site.Process(site.Management)
	// It may be gone by itself, which is as good.
	if err := r.site.Do(site.FaultKill, site.Management); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-p.Gone()
	return nil
}

// returnManagement starts it again, and waits until it has granted what was taken over without it.
func (r *rehearsal) returnManagement(ctx context.Context) error {
	if err := r.site.Do(site.CureStart, site.Management); err != nil {
		return err
	}
	return wait(ctx, patience, "the leases to be granted to "+string(standby), func(ctx context.Context) bool {
		now, err := r.site.Client.Site(ctx)
		if err != nil {
			return false
		}
		for _, w := range r.watchers {
			if lease, _ := now.Lease(w.camera); lease.Holder != standby {
				return false
			}
		}
		_, arrived := r.log.of(understudy.EventTakeover, r.fault)
		return len(arrived) > 0
	})
}
