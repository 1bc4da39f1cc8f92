package management

import (
	"context"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// Bounds of an order.
const (
	maxReason   = 500
	maxOrder    = 90 * 24 * time.Hour // longer is not an order but another configuration
	remindAhead = 15 * time.Minute    // before a maintenance ends
)

// HandOver implements understudy.OrderService.
func (m *Management) HandOver(ctx context.Context, home understudy.ServerID, o understudy.HandOver) (understudy.RecordingServer, error) {
	return m.order(ctx, home, func(tx *change, r *understudy.RecordingServer) (string, error) {
		o.Since, o.Until, o.By = tx.now, o.Until.UTC().Truncate(time.Microsecond), tx.actor
		if err := validOrder(o.Reason, o.Until, tx.now); err != nil {
			return "", err
		}
		standbys := tx.site.Standbys(understudy.Camera{Home: home})
		if !slices.Contains(standbys, o.To) {
			return "", understudy.Errorf(understudy.CodeInvalid, "%s may not stand in for %s: those who may are %v", o.To, home, standbys)
		}
		r.HandOver = o
		return fmt.Sprintf("%s was %s: it records on, and takes nothing back meanwhile.", home, o), nil
	})
}

// FailBack implements understudy.OrderService.
func (m *Management) FailBack(ctx context.Context, home understudy.ServerID) (understudy.RecordingServer, error) {
	return m.order(ctx, home, func(tx *change, r *understudy.RecordingServer) (string, error) {
		r.HandOver, r.TakeBack = understudy.HandOver{}, tx.now
		return fmt.Sprintf("%s ordered that %s takes its part back, without a hold-down.", tx.actor, home), nil
	})
}

// Maintain implements understudy.OrderService.
func (m *Management) Maintain(ctx context.Context, home understudy.ServerID, o understudy.Maintenance) (understudy.RecordingServer, error) {
	return m.order(ctx, home, func(tx *change, r *understudy.RecordingServer) (string, error) {
		if o.Until.IsZero() {
			r.Maintenance = understudy.Maintenance{}
			return fmt.Sprintf("%s ended the maintenance of %s: it is stood in for again.", tx.actor, home), nil
		}
		o.Since, o.Until, o.By, o.Reminded = tx.now, o.Until.UTC().Truncate(time.Microsecond), tx.actor, false
		if err := validOrder(o.Reason, o.Until, tx.now); err != nil {
			return "", err
		}
		r.Maintenance = o
		return fmt.Sprintf("%s is %s: nobody takes its part over, unless it was handed over.", home, o), nil
	})
}

func validOrder(reason string, until, now time.Time) error {
	if !until.IsZero() && (!until.After(now) || until.Sub(now) > maxOrder) {
		return understudy.Errorf(understudy.CodeInvalid, "an order ends in the future and within %s, found %s", maxOrder, until.Format(time.RFC3339))
	}
	return validReason(reason)
}

func validReason(reason string) error {
	if len(reason) > maxReason || !printable(reason) {
		return understudy.Errorf(understudy.CodeInvalid, "a reason is at most %d bytes of UTF-8 without control characters, found %.40q", maxReason, reason)
	}
	return nil
}

// order changes what is ordered of a recording server, and writes the sentence about it.
func (m *Management) order(ctx context.Context, home understudy.ServerID, give func(*change, *understudy.RecordingServer) (string, error)) (understudy.RecordingServer, error) {
	var r understudy.RecordingServer
	return r, m.update(ctx, func(tx *change) error {
		var ok bool
		if r, ok = tx.site.RecordingServer(home); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no recording server %q", string(home))
		}
		sentence, err := give(tx, &r)
		if err != nil {
			return err
		}
		return tx.recordOrder(r, sentence)
	})
}

func (tx *change) recordOrder(r understudy.RecordingServer, sentence string) error {
	return tx.record(understudy.Event{Kind: understudy.EventServer, Server: r.ID, Sentence: sentence,
		Changes: []understudy.Change{{RecordingServer: &r}}})
}

// TendOrders ends the orders whose time is over, and reminds of a maintenance
// that ends soon. Servers know the times too: who cannot ask ends them himself.
func (m *Management) TendOrders(ctx context.Context) error {
	site, err := m.Site(ctx)
	if err != nil || !slices.ContainsFunc(site.RecordingServers, func(r understudy.RecordingServer) bool {
		_, due := tended(r, m.now())
		return due != ""
	}) {
		return err
	}
	return m.update(ctx, (*change).tend)
}

// tend is also done before a claim is decided: home takes its part back the moment
// the time is over, and a standby whose clock is behind would take it again for as
// long as the site has the order.
func (tx *change) tend() error {
	for _, r := range tx.site.RecordingServers { // recording an order makes another slice of it
		for r, sentence := tended(r, tx.now); sentence != ""; r, sentence = tended(r, tx.now) {
			if err := tx.recordOrder(r, sentence); err != nil {
				return err
			}
		}
	}
	return nil
}

// tended returns a recording server after the first thing that is due of its orders, and what it is.
func tended(r understudy.RecordingServer, now time.Time) (understudy.RecordingServer, string) {
	handed, kept := r.HandOver, r.Maintenance
	switch {
	case !handed.Since.IsZero() && !handed.Stands(now):
		r.HandOver, r.TakeBack = understudy.HandOver{}, now
		return r, fmt.Sprintf("The time is over for which %s was %s: it takes its part back.", r.ID, handed)
	case !kept.Until.IsZero() && !kept.Stands(now):
		r.Maintenance = understudy.Maintenance{}
		return r, fmt.Sprintf("The time is over for which %s was %s: it is stood in for again.", r.ID, kept)
	case !kept.Until.IsZero() && !kept.Reminded && kept.Until.Sub(now) <= min(remindAhead, kept.Until.Sub(kept.Since)/2):
		r.Maintenance.Reminded = true
		return r, fmt.Sprintf("The maintenance of %s ends in %s: after that it is stood in for again if it does not record.",
			r.ID, kept.Until.Sub(now).Round(time.Minute))
	}
	return r, ""
}
