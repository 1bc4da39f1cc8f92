package channel

import (
	"encoding/json"
	"sync"

	"understudy"
)

// maxViews bounds how many different rights are remembered at once.
const maxViews = 256

// views keep what was written last for those of equal rights: of ten thousand clients most
// see the same, and after a takeover all want it at once.
type views struct {
	mu sync.Mutex
	of map[string]*view
}

// view is what those see who have certain rights, as JSON.
type view struct {
	site, status memo
	events       texts
}

// memo is a text, and of what it is: a cursor, or the round of a status.
type memo struct {
	mu   sync.Mutex
	of   any
	text []byte
}

func (m *memo) get(of any, write func() ([]byte, error)) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.text == nil || m.of != of {
		text, err := write()
		if err != nil {
			return nil, err
		}
		m.of, m.text = of, text
	}
	return m.text, nil
}

// maxTexts bounds the events that a view remembers, in bytes.
const maxTexts = 1 << 20

// texts are those of the events that were asked for last: clients of the same rights are at different
// places when many events come at once, and each event is written once for all of them.
type texts struct {
	mu    sync.Mutex
	of    map[understudy.Cursor][]byte
	order []understudy.Cursor // the oldest first
	size  int
}

func (t *texts) get(of understudy.Cursor, write func() ([]byte, error)) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text, ok := t.of[of]; ok {
		return text, nil
	}
	text, err := write()
	if err != nil {
		return nil, err
	}
	if t.of == nil {
		t.of = map[understudy.Cursor][]byte{}
	}
	t.of[of], t.order, t.size = text, append(t.order, of), t.size+cost(text)
	for t.size > maxTexts && len(t.order) > 1 {
		t.size -= cost(t.of[t.order[0]])
		delete(t.of, t.order[0])
		t.order = t.order[1:]
	}
	return text, nil
}

// cost is what a text takes with its place.
func cost(text []byte) int { return len(text) + 128 }

// with returns the view of those rights.
func (v *views) with(rights string) *view {
	v.mu.Lock()
	defer v.mu.Unlock()
	found, ok := v.of[rights]
	if !ok {
		if v.of == nil || len(v.of) >= maxViews {
			v.of = map[string]*view{}
		}
		found = &view{}
		v.of[rights] = found
	}
	return found
}

// rightsOf is the same for those who see the same.
func rightsOf(i understudy.Identity) (string, error) {
	if seesAll(i) {
		return "", nil
	}
	i.User, i.Grants = "", nil // whoever it is, and from whatever it follows
	text, err := json.Marshal(i)
	return string(text), err
}
