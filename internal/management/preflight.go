package management

import (
	"context"
	"fmt"
	"slices"
	"time"

	"understudy"
)

// Bounds of a pre-flight.
const (
	maxFindings  = 20000
	toldFindings = 3 // in one event; the others are counted
)

// Preflights returns the latest of each failover server, by its id.
func (m *Management) Preflights(ctx context.Context) ([]understudy.Preflight, error) {
	var all []understudy.Preflight
	err := m.store.View(ctx, func(r Reader) (err error) {
		all, err = r.Preflights()
		return err
	})
	return orEmpty(all), err
}

// PutPreflight replaces the server's latest one, and writes an event for what
// has newly turned red and one for what is red no more.
func (m *Management) PutPreflight(ctx context.Context, p understudy.Preflight) error {
	if err := understudy.ValidateID("server", p.Server); err != nil {
		return err
	}
	if len(p.Findings) > maxFindings {
		return understudy.Errorf(understudy.CodeInvalid, "a pre-flight has at most %d findings, and this one has %d", maxFindings, len(p.Findings))
	}
	p.At, p.Homes = p.At.UTC().Truncate(time.Microsecond), orEmpty(p.Homes)
	p.Findings = slices.Clone(orEmpty(p.Findings))
	for i, f := range p.Findings {
		if f.Camera != "" {
			if err := understudy.ValidateID("camera", f.Camera); err != nil {
				return err
			}
		}
		p.Findings[i].Sentence = oneSentence(f.Sentence)
	}
	return m.update(ctx, func(tx *change) error {
		if _, ok := tx.site.FailoverServer(p.Server); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no failover server %q", string(p.Server))
		}
		all, err := tx.Preflights()
		if err != nil {
			return err
		}
		var before understudy.Preflight
		if i := slices.IndexFunc(all, func(o understudy.Preflight) bool { return o.Server == p.Server }); i >= 0 {
			before = all[i]
		}
		if err := tx.PutPreflight(p); err != nil {
			return err
		}
		if err := tx.recordFindings(p.Server, "Before any failure, %s finds %d new in the way of a takeover: %s", newRed(p, before)); err != nil {
			return err
		}
		return tx.recordFindings(p.Server, "%s finds %d no longer in the way of a takeover: %s", newRed(before, p))
	})
}

// newRed returns what is red in p and not in the other.
func newRed(p, other understudy.Preflight) []understudy.Finding {
	return slices.DeleteFunc(slices.Clone(p.Findings), func(f understudy.Finding) bool {
		return !f.Red || slices.ContainsFunc(other.Findings, f.Same)
	})
}

func (tx *change) recordFindings(server understudy.ServerID, format string, findings []understudy.Finding) error {
	if len(findings) == 0 {
		return nil
	}
	text := ""
	for i, f := range findings[:min(toldFindings, len(findings))] {
		text += map[bool]string{true: "; "}[i > 0] + f.Sentence
	}
	if more := len(findings) - toldFindings; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	e := understudy.Event{
		Kind: understudy.EventServer, Server: server, Actor: understudy.Identity{Server: server}.String(),
		Sentence: oneSentence(fmt.Sprintf(format, server, len(findings), text)),
	}
	if len(findings) == 1 {
		e.Camera = findings[0].Camera
	}
	return tx.record(e)
}
