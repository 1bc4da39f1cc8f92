package client

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"understudy"
)

// NoteSearch selects notes.
type NoteSearch struct {
	Cameras  []understudy.CameraID // empty is all that the asker may see
	From, To time.Time
	Kind     understudy.NoteKind // empty is all
	// Text, where not empty, is in the name or the data of a note, in upper or lower case.
	Text string
}

const (
	searchAtOnce = 4                   // cameras
	maxNotes     = 31 * 24 * time.Hour // of one question to a server
)

// FindNotes returns the notes of all servers that were selected, by time, and
// the servers that did not answer.
func (c *Client) FindNotes(ctx context.Context, q NoteSearch) (found []understudy.Note, missing []understudy.ServerID, err error) {
	if !q.To.After(q.From) {
		return nil, nil, understudy.Errorf(understudy.CodeInvalid, "notes are searched from a time to a later one; found %s to %s", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339))
	}
	site, err := c.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	cameras := q.Cameras
	if len(cameras) == 0 {
		for _, camera := range site.Cameras {
			cameras = append(cameras, camera.ID)
		}
	}
	f := c.footage(site)
	each := make([][]understudy.Note, len(cameras))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(searchAtOnce)
	for i, camera := range cameras {
		asking.Go(func() (err error) {
			each[i], err = q.of(ctx, f, camera)
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, nil, err
	}
	found = slices.Concat(each...)
	slices.SortFunc(found, func(a, b understudy.Note) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Camera, b.Camera), cmp.Compare(a.ID, b.ID))
	})
	return found, f.Missing(), nil
}

// of returns the notes of one camera, asked for a month at a time.
func (q NoteSearch) of(ctx context.Context, f *footage, camera understudy.CameraID) (found []understudy.Note, err error) {
	seen := map[string]bool{} // one may touch two months
	for from := q.From; from.Before(q.To); from = from.Add(maxNotes) {
		notes, err := f.Notes(ctx, camera, from, earliest(q.To, from.Add(maxNotes)))
		if err != nil {
			return nil, err
		}
		for _, n := range notes {
			if !seen[n.ID] && q.wants(n) {
				seen[n.ID] = true
				found = append(found, n)
			}
		}
	}
	return found, nil
}

func (q NoteSearch) wants(n understudy.Note) bool {
	text := strings.ToLower(q.Text)
	return (q.Kind == "" || n.Kind == q.Kind) &&
		(text == "" || strings.Contains(strings.ToLower(n.Name), text) || bytes.Contains(bytes.ToLower(n.Data), []byte(text)))
}
