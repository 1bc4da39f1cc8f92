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
	site, event, status memo
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
	i.User = "" // whoever it is
	text, err := json.Marshal(i)
	return string(text), err
}
