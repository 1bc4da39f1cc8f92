package management

import (
	"context"
	"slices"
	"time"

	"understudy"
)

const (
	maxMilestones      = 500 // of a report
	maxClaimMilestones = 16
)

// milestones makes changes of what a server tells of a failover; whose word it
// is, is not the server's to say.
func milestones(server understudy.ServerID, told []understudy.Milestone, most int) ([]understudy.Change, error) {
	if len(told) > most {
		return nil, understudy.Errorf(understudy.CodeInvalid, "at most %d milestones are told at once, found %d", most, len(told))
	}
	var changes []understudy.Change
	for _, m := range told {
		if err := understudy.ValidateID("server", m.Home); err != nil {
			return nil, err
		}
		if m.Camera != "" {
			if err := understudy.ValidateID("camera", m.Camera); err != nil {
				return nil, err
			}
		}
		if m.Kind == "" || len(m.Kind) > maxName || !printable(string(m.Kind)) || m.At.IsZero() {
			return nil, understudy.Errorf(understudy.CodeInvalid, "a milestone has a kind and a time, found %.40q at %s", string(m.Kind), m.At.Format(time.RFC3339))
		}
		m.Server, m.At = server, m.At.UTC().Truncate(time.Microsecond)
		if !m.Promised.IsZero() {
			m.Promised = m.Promised.UTC().Truncate(time.Microsecond)
		}
		changes = append(changes, understudy.Change{Milestone: &m})
	}
	return changes, nil
}

// Conclude writes down that an incident is over, and what it cost, once: while
// the footage is there and can be counted. Again, it changes nothing. The
// accounts are of cameras of home's; opened is the number of its first event.
func (m *Management) Conclude(ctx context.Context, home understudy.ServerID, opened uint64, sentence string, accounts []understudy.CameraAccount) error {
	if err := understudy.ValidateID("server", home); err != nil {
		return err
	}
	if len(accounts) == 0 || sentence == "" {
		return understudy.Errorf(understudy.CodeInvalid, "what is concluded of an incident are a sentence and the accounts of its cameras")
	}
	return m.update(ctx, func(tx *change) error {
		for after := opened; ; {
			past, err := tx.Events(understudy.EventQuery{After: after, Kind: understudy.EventIncident, Limit: maxEvents})
			if err != nil {
				return err
			}
			if slices.ContainsFunc(past, func(e understudy.Event) bool { return concludes(e, accounts[0].Incident) }) {
				return nil
			}
			if len(past) < maxEvents {
				break
			}
			after = past[len(past)-1].Seq
		}
		e := understudy.Event{Kind: understudy.EventIncident, Server: home, Sentence: oneSentence(sentence)}
		for _, a := range accounts {
			e.Changes = append(e.Changes, understudy.Change{Account: &a})
		}
		if len(accounts) == 1 {
			e.Camera = accounts[0].Camera
		}
		return tx.record(e)
	})
}

func concludes(e understudy.Event, incident string) bool {
	return slices.ContainsFunc(e.Changes, func(c understudy.Change) bool { return c.Account != nil && c.Account.Incident == incident })
}
