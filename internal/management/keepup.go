package management

import (
	"context"
	"sync"
	"time"

	"understudy"
)

// keepUpEvery is how late an event of another management server is heard here, where the
// store does not tell of it.
const keepUpEvery = 200 * time.Millisecond

// teller is a store that tells of what others write into it.
type teller interface {
	// Told calls f soon after another process has written into the store, until ctx ends.
	// It may also call it for nothing, and may miss some.
	Told(ctx context.Context, f func())
}

// KeepUp hears of what other management servers write into the same store, until ctx
// ends: whoever waits here is told of it as of this one's own. The store tells of it, where it
// can, and is asked again and again besides. One that cannot be read is asked again; complain is
// told of it once, until it answers.
func (m *Management) KeepUp(ctx context.Context, complain func(error)) error {
	told := make(chan struct{}, 1)
	if t, ok := m.store.(teller); ok {
		var telling sync.WaitGroup
		defer telling.Wait()
		telling.Go(func() {
			t.Told(ctx, func() {
				select {
				case told <- struct{}{}:
				default: // it will be looked at already
				}
			})
		})
	}
	ticker := time.NewTicker(keepUpEvery)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		case <-told:
		}
		err := m.keepUp(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !failing {
			complain(err)
		}
		failing = err != nil
	}
}

func (m *Management) keepUp(ctx context.Context) error {
	m.mu.Lock()
	known := m.seq
	m.mu.Unlock()
	seq, stream, err := m.newest(ctx)
	switch {
	case err != nil:
		return err
	case seq < known:
		return m.startOver(ctx, known)
	}
	m.announce(seq, stream)
	return nil
}

// startOver gives the log another name: the store has lost events that it had, as a
// replica may that was promoted, and gives their numbers away again. Whoever has read
// them begins anew by that.
func (m *Management) startOver(ctx context.Context, known uint64) error {
	var seq uint64
	var stream string
	err := m.store.Update(ctx, func(tx Tx) error {
		log, err := tx.Log()
		if err != nil {
			return err
		}
		site, err := tx.Site()
		if err != nil {
			return err
		}
		seq, stream = site.Seq, log.Stream
		if seq >= known || stream != m.Stream() { // it has come back, or another management server was here before
			return nil
		}
		stream = newStream()
		return tx.PutLog(Log{Stream: stream, Floor: log.Floor})
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if stream != m.stream {
		m.stream, m.seq = stream, seq
		close(m.changed)
		m.changed = make(chan struct{})
	}
	return nil
}

// newest reads the number of the newest event, and the log's name.
func (m *Management) newest(ctx context.Context) (seq uint64, stream string, err error) {
	err = m.store.View(ctx, func(r Reader) error {
		log, err := r.Log()
		if err != nil {
			return err
		}
		var site understudy.Site
		site, err = r.Site()
		seq, stream = site.Seq, log.Stream
		return err
	})
	return seq, stream, err
}
