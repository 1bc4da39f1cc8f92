package drill

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"understudy"
	"understudy/internal/site"
)

// Result is what a drill measured. Milliseconds count from the fault.
type Result struct {
	Mode         Mode       `json:"mode"`
	Fault        site.Fault `json:"fault"`
	NoManagement bool       `json:"no_management,omitempty"` // the management server was dead before the fault
	Managements  int        `json:"managements,omitempty"`
	KilledOne    bool       `json:"management_killed,omitempty"` // of several, just before the fault
	Cameras      int        `json:"cameras"`
	GOP          float64    `json:"gop_s"`

	Decision     int64  `json:"decision_ms"`      // the failover server decided
	Claim        int64  `json:"claim_ms"`         // a client was told of the new holder
	FirstDurable Spread `json:"first_durable_ms"` // the first sample of each camera lay synced on the failover server, as that one told
	ClientResume Spread `json:"client_resume_ms"` // each watching client had a frame from the failover server

	LostTakeover int    `json:"lost_frames_takeover"`
	GapTakeover  Spread `json:"gap_takeover_ms"`
	LostFailback int    `json:"lost_frames_failback"`
	Duplicates   int    `json:"duplicate_frames"`

	// Moved and Stayed count the cameras whose lease went away and came back, and
	// the others, which the fault did not befall.
	Moved      int `json:"moved"`
	Stayed     int `json:"stayed"`
	LostStayed int `json:"lost_frames_stayed"`

	// StandbyMemory is what the failover server had resident just before the fault,
	// a mirror's streams and rings included. 0 where the system does not tell.
	StandbyMemory float64 `json:"standby_rss_mib,omitempty"`

	LostOthers int `json:"lost_frames_others,omitempty"` // of cameras of another server, which the failover server held before

	MergedSegments int     `json:"merged_segments"`
	MergedBytes    int64   `json:"merged_bytes"`
	MergeSeconds   float64 `json:"merge_s"` // from the failback until the failover server was empty
	LeftSegments   int     `json:"left_on_failover_segments"`

	// Of a drill that cuts the merge.
	Cuts      int   `json:"cuts,omitempty"`
	Kills     int   `json:"kills,omitempty"`                // of processes, during the merge
	LostKills int   `json:"lost_frames_in_kills,omitempty"` // while home was dead in one of them: nobody had them
	LineBytes int64 `json:"merge_line_bytes,omitempty"`     // that went home over the line, TLS and messages included

	// Incident is the site's own record of it, which agrees with the frames that
	// were counted to a frame.
	Incident *understudy.Incident `json:"incident,omitempty"`

	ExportedOK bool   `json:"exported_ok"`
	Passed     bool   `json:"passed"`
	Why        string `json:"why"`

	pictures []picture
	events   []understudy.Event
	astray   string // in words, which cameras moved that were well, or did not though they were sick
}

// noteMoved counts the cameras that moved, and compares them with those that should have.
func (r *Result) noteMoved(moved, sick []understudy.CameraID, all int) {
	r.Moved, r.Stayed = len(moved), all-len(moved)
	if !slices.Equal(slices.Sorted(slices.Values(moved)), slices.Sorted(slices.Values(sick))) {
		r.astray = fmt.Sprintf("the cameras %v moved, and the sick ones are %v", moved, sick)
	}
}

// Spread is the middle and the worst of one figure over all cameras.
type Spread struct {
	P50 int64 `json:"p50"`
	Max int64 `json:"max"`
}

func spread(figures []time.Duration) Spread {
	if len(figures) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	return Spread{P50: sorted[(len(sorted)-1)/2].Milliseconds(), Max: sorted[len(sorted)-1].Milliseconds()}
}

// picture is one camera's timeline.
type picture struct {
	camera   understudy.CameraID
	from, to time.Time
	fault    time.Time
	pieces   []understudy.Piece
	home     understudy.ServerID
	account  account
}

const pictureWidth = 64

// draw paints home's footage, the failover server's, and what nobody has.
func (p picture) draw() string {
	cells := []rune(strings.Repeat("·", pictureWidth))
	cell := func(t time.Time) int {
		at := float64(t.Sub(p.from)) / float64(max(p.to.Sub(p.from), 1)) * pictureWidth
		return min(max(int(at), 0), pictureWidth-1)
	}
	for _, piece := range p.pieces {
		mark := '▒'
		if piece.Segment.Holder == p.home {
			mark = '█'
		}
		for i := cell(piece.From); i <= cell(piece.To.Add(-time.Nanosecond)); i++ {
			cells[i] = mark
		}
	}
	return string(cells)
}

// Print writes the report for a person.
func (r Result) Print(w io.Writer) {
	verdict := "PASSED"
	if !r.Passed {
		verdict = "FAILED"
	}
	fmt.Fprintf(w, "\n%s  %s standby, %s of the recording server, %d cameras, GOP %.1f s\n%s\n\n", verdict, r.Mode, r.Fault, r.Cameras, r.GOP, r.Why)
	rows := []struct {
		name  string
		value string
	}{
		{"decided", fmt.Sprintf("%d ms after the fault", r.Decision)},
		{"clients told", fmt.Sprintf("%d ms", r.Claim)},
		{"durable again", fmt.Sprintf("half of the cameras %d ms, all %d ms", r.FirstDurable.P50, r.FirstDurable.Max)},
		{"clients see it again", fmt.Sprintf("half %d ms, all %d ms", r.ClientResume.P50, r.ClientResume.Max)},
		{"lost in the takeover", fmt.Sprintf("%d frames; longest gap %d ms, half up to %d ms", r.LostTakeover, r.GapTakeover.Max, r.GapTakeover.P50)},
		{"moved, stayed", fmt.Sprintf("%d and %d cameras; %d frames lost of those that stayed", r.Moved, r.Stayed, r.LostStayed)},
		{"lost in the failback", fmt.Sprintf("%d frames", r.LostFailback)},
		{"twice in the timeline", fmt.Sprintf("%d frames", r.Duplicates)},
		{"went home", fmt.Sprintf("%d segments, %d bytes in %.1f s; %d left behind", r.MergedSegments, r.MergedBytes, r.MergeSeconds, r.LeftSegments)},
	}
	if r.StandbyMemory > 0 {
		rows = append(rows, struct{ name, value string }{"memory of the standby", fmt.Sprintf(
			"%.1f MiB just before the fault, %.2f for each camera", r.StandbyMemory, r.StandbyMemory/float64(max(r.Cameras, 1)))})
	}
	if r.Cuts > 0 {
		rows = append(rows, struct{ name, value string }{"the merge was cut", fmt.Sprintf(
			"%d times, and its ends were killed %d times (%d frames while home was dead); %d bytes over the line", r.Cuts, r.Kills, r.LostKills, r.LineBytes)})
	}
	if r.Incident != nil {
		rows = append(rows, struct{ name, value string }{"incident", r.Incident.ID + ": " + r.Incident.Sentence})
	}
	for _, row := range rows {
		fmt.Fprintf(w, "  %-22s %s\n", row.name, row.value)
	}
	fmt.Fprintf(w, "\n  %-12s █ home  ▒ failover server  · nothing   (v: the fault)\n", "")
	for i, p := range r.pictures {
		if i == 0 {
			at := float64(p.fault.Sub(p.from)) / float64(max(p.to.Sub(p.from), 1)) * pictureWidth
			fmt.Fprintf(w, "  %-12s %s\n", "", strings.Repeat(" ", min(max(int(at), 0), pictureWidth-1))+"v")
		}
		fmt.Fprintf(w, "  %-12s %s %d frames, %d lost\n", p.camera, p.draw(), p.account.Frames, p.account.lost())
	}
	fmt.Fprintln(w, "\n  decisions:")
	for _, e := range r.events {
		fmt.Fprintf(w, "  %s  %-9s %s\n", e.At.Local().Format("15:04:05.000"), e.Kind, e.Sentence)
	}
}
