package understudy

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Use is what somebody did with footage in a stretch of time, or was refused: one
// line of the audit for many requests, as the server that was asked tells it.
type Use struct {
	User string `json:"user"`
	// Server is who was refused, where that is no user. Of such, and of Routes, the
	// management server alone tells.
	Server ServerID `json:"server,omitempty"`
	// Action is what was done, playback or export; or what was refused, empty where Routes say it.
	Action  Action `json:"action,omitempty" doc:"What was done, playback or export; or what was refused"`
	Refused bool   `json:"refused,omitempty" doc:"It was not done: the user has no right to it"`
	// Requests are how many it were, between Began and Ended by the server's clock.
	Requests int       `json:"requests"`
	Began    time.Time `json:"began"`
	Ended    time.Time `json:"ended"`
	// Footage is what the user was given of one camera, which the report names, in order.
	Footage []Stretch `json:"footage,omitempty" maxItems:"16" doc:"Of the report's camera"`
	// Cameras are those of a use of several, as far as they are named. More counts the
	// others, each as often as it was used.
	Cameras      []CameraID `json:"cameras,omitempty" maxItems:"32"`
	More         int        `json:"more,omitempty"`
	Routes       []string   `json:"routes,omitempty" doc:"Of the management server, that were refused"`
	Address      string     `json:"address,omitempty" doc:"From where the requests came"`
	TokenAddress string     `json:"token_address,omitempty" doc:"To where the media token was given out"`
}

// Stretch is a stretch of capture time.
type Stretch struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// What one Use tells at most.
const (
	MaxUseFootage = 16
	MaxUseCameras = 32
	MaxUseRoutes  = 8
)

// Who returns whose use it is, as the log has it.
func (u Use) Who() string { return Identity{User: u.User, Server: u.Server}.String() }

// Sentence says what was done with a camera, or with several where that is empty,
// and of which server it was asked.
func (u Use) Sentence(camera CameraID, server ServerID) string {
	return fmt.Sprintf("%s %s: %s.", cmp.Or(u.User, string(u.Server)), u.deed(camera), u.asked(server))
}

func (u Use) deed(camera CameraID) string {
	switch {
	case u.Refused && len(u.Routes) > 0:
		return "was refused " + some(u.Routes, u.More, "other requests")
	case u.Refused:
		return fmt.Sprintf("was refused %s of %s", u.Action, u.cameras(camera))
	case u.Action == ActionExport:
		return "exported " + u.cameras(camera) + u.footage()
	}
	return "played " + u.cameras(camera) + u.footage()
}

func (u Use) cameras(camera CameraID) string {
	if camera != "" {
		return string(camera)
	}
	var names []string
	for _, c := range u.Cameras {
		names = append(names, string(c))
	}
	return some(names, u.More, "times others")
}

// some lists names, and how many there are besides.
func some(names []string, more int, others string) string {
	if more > 0 {
		names = append(names, fmt.Sprintf("%d %s", more, others))
	}
	return strings.Join(names, ", ")
}

func (u Use) footage() string {
	var all []string
	for _, s := range u.Footage {
		all = append(all, moment(s.From)+" to "+moment(s.To))
	}
	if len(all) == 0 {
		return ""
	}
	return " of " + strings.Join(all, ", ")
}

func (u Use) asked(server ServerID) string {
	text := fmt.Sprintf("%d requests", u.Requests)
	if u.Requests == 1 {
		text = "one request"
	}
	if server != "" {
		text += " to " + string(server)
	}
	if text += " at " + moment(u.Began); moment(u.Ended) != moment(u.Began) {
		text += " to " + moment(u.Ended)
	}
	if u.Address != "" {
		text += " from " + u.Address
	}
	if u.TokenAddress != "" && u.TokenAddress != u.Address {
		text += ", with a media token given out to " + u.TokenAddress
	}
	return text
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
