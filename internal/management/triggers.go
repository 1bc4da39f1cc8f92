package management

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"understudy"
)

const (
	// keepTriggers is how long an event that is told again is known to be the
	// same: as long as it may be told at all.
	keepTriggers = 24 * time.Hour

	// Whoever tells of events may tell of all doors of a house at once, and
	// then as fast as doors open. Each is a row of the log and a message to all.
	triggerBurst  = 300
	triggersEvery = 100 * time.Millisecond
)

// TriggerRecord is an event that was told, kept so that it is told to the
// servers once.
type TriggerRecord struct {
	Trigger understudy.Trigger
	Told    time.Time // last
}

// Trigger writes an event in the log, from where the servers learn of it.
func (m *Management) Trigger(ctx context.Context, t understudy.Trigger) (understudy.Trigger, error) {
	if t.ID == "" {
		t.ID = rand.Text()
	}
	timeless := t.At.IsZero()
	t, err := t.Settled(m.now())
	if err != nil {
		return t, err
	}
	if !m.triggers.allow(understudy.Asker(ctx).String(), m.now()) {
		return t, understudy.Errorf(understudy.CodeUnavailable, "more than %d events a second were told for long; tell again in a second, and less", time.Second/triggersEvery)
	}
	err = m.update(ctx, func(tx *change) error {
		before, known, err := tx.Trigger(t.ID)
		if err != nil {
			return err
		}
		if _, ok := tx.site.Camera(t.Camera); !ok {
			return noCamera(t.Camera)
		}
		if known {
			if before.Trigger.Camera != t.Camera || !timeless && !before.Trigger.At.Equal(t.At) {
				return understudy.Errorf(understudy.CodeConflict, "event %s was told before, of another camera or with another beginning; another event needs another id", t.ID)
			}
			if t = before.Trigger.Retold(t); t.Until.Equal(before.Trigger.Until) {
				return nil
			}
		}
		if err := tx.ForgetTriggers(tx.now.Add(-keepTriggers)); err != nil {
			return err
		}
		if err := tx.PutTrigger(TriggerRecord{Trigger: t, Told: tx.now}); err != nil {
			return err
		}
		sentence := fmt.Sprintf("%s at camera %s, told by %s.", t.Name, t.Camera, tx.actor)
		if known {
			sentence = fmt.Sprintf("%s at camera %s lasts until %s, told by %s.", t.Name, t.Camera, t.Until.Format(time.RFC3339), tx.actor)
		}
		return tx.record(understudy.Event{Kind: understudy.EventTrigger, Camera: t.Camera, Sentence: oneSentence(sentence),
			Changes: []understudy.Change{{Trigger: &t}}})
	})
	return t, err
}
