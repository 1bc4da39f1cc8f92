package media

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"understudy"
)

// Lives of tickets. A media token is good for everything its user may do, and
// ends after minutes; a ticket opens one camera, and either one range or the
// live picture, to a player that cannot renew what stands in an address.
const (
	ticketGrace = time.Hour // beyond the length of the range
	liveTicket  = time.Hour
)

// ticket is what a playlist puts into the addresses of its parts in place of
// the token that it was asked for with. Only the server that made it takes it.
type ticket struct {
	Camera  understudy.CameraID `json:"camera"`
	User    string              `json:"user"`
	Given   time.Time           `json:"given"`             // the token that it is for
	Address string              `json:"address,omitempty"` // to which that was given out
	From    time.Time           `json:"from,omitzero"`     // zero: live
	To      time.Time           `json:"to,omitzero"`
	Expires time.Time           `json:"expires"`
	Mute    bool                `json:"mute,omitempty"` // its bearer may not hear the camera
}

func newTicketKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// pass returns what the addresses in a playlist carry: nothing for who sends a
// header with each request, the ticket that the playlist was asked for with,
// else a new one.
func (h *handler) pass(r *http.Request, camera understudy.CameraID, from, to time.Time) url.Values {
	query := r.URL.Query()
	switch {
	case query.Has("ticket"):
		return url.Values{"ticket": {query.Get("ticket")}}
	case !query.Has("token"):
		return url.Values{}
	}
	life := liveTicket
	if !from.IsZero() {
		life = to.Sub(from) + ticketGrace
	}
	who := understudy.Asker(r.Context())
	content, err := json.Marshal(ticket{camera, who.User, who.Given, who.Address, from, to, time.Now().Add(life).UTC().Truncate(time.Second), !h.hears(r, camera)})
	if err != nil {
		return url.Values{} // there is nothing in it that JSON cannot say
	}
	return url.Values{"ticket": {base64.RawURLEncoding.EncodeToString(content) + "." + base64.RawURLEncoding.EncodeToString(h.sign(content))}}
}

func (h *handler) sign(content []byte) []byte {
	mac := hmac.New(sha256.New, h.ticketKey)
	mac.Write(content)
	return mac.Sum(nil)
}

// redeem reads a ticket. CodeUnauthenticated for one that this server has not
// made, or that is over.
func (h *handler) redeem(text string) (ticket, error) {
	const most = 4 << 10 // the name of a user may be long
	content, signature, _ := strings.Cut(text, ".")
	c, err1 := base64.RawURLEncoding.DecodeString(content)
	s, err2 := base64.RawURLEncoding.DecodeString(signature)
	var t ticket
	if len(text) > most || err1 != nil || err2 != nil || !hmac.Equal(s, h.sign(c)) || json.Unmarshal(c, &t) != nil {
		return ticket{}, understudy.Errorf(understudy.CodeUnauthenticated, "the ticket is not one that this server has made since it started: ask for the playlist again, with a media token")
	}
	if time.Now().After(t.Expires) {
		return ticket{}, understudy.Errorf(understudy.CodeUnauthenticated, "the ticket has expired: ask for the playlist again, with a media token")
	}
	return t, nil
}

// admit decides whether the bearer of a ticket gets what a request names, as the user
// whose token it is for.
func (h *handler) admit(r *http.Request, action understudy.Action, camera understudy.CameraID) (understudy.Identity, error) {
	t, err := h.redeem(r.URL.Query().Get("ticket"))
	if err == nil {
		err = h.opens(t, r, action, camera)
	}
	return understudy.Identity{User: t.User, Given: t.Given, Address: t.Address}, err
}

// opens decides whether a ticket is for what a request names.
func (h *handler) opens(t ticket, r *http.Request, action understudy.Action, camera understudy.CameraID) error {
	query := r.URL.Query()
	beyond := understudy.Errorf(understudy.CodeForbidden, "the ticket is for something else: ask for the playlist with a media token")
	if t.Camera != camera || t.From.IsZero() != (action == understudy.ActionLive) {
		return beyond
	}
	if t.From.IsZero() {
		return nil
	}
	if query.Has("segment") {
		id, err := querySegment(r, camera)
		if err != nil {
			return err
		}
		segments, err := h.Library.Segments(r.Context(), camera, t.From.Add(-ticketLead), t.To, false)
		if err != nil {
			return err
		}
		for _, s := range segments {
			if s.ID == id {
				return nil
			}
		}
		return beyond
	}
	from, to, err := timeRange(r, maxPlaylist)
	if err != nil {
		return err
	}
	if from.Before(t.From) || to.After(t.To) {
		return beyond
	}
	return nil
}

// ticketLead is how far before a range the key frame may lie with which it begins.
const ticketLead = 10 * time.Second
