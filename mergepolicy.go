package understudy

import (
	"strconv"
	"strings"
	"time"
)

// MergePolicy says how footage comes home to a recording server. The zero
// policy sends at any time, with half of what is free.
type MergePolicy struct {
	// BytesPerSecond bounds all footage that comes home from one failover server; 0 is half of what is free.
	BytesPerSecond int64 `json:"bytes_per_second,omitempty" doc:"Bytes a second at most, from one failover server; 0 is half of what line, disks and processors give"`
	// Windows is when footage may come home, in home's local time; empty is always.
	Windows string `json:"windows,omitempty" maxLength:"500" example:"mon-fri 20:00-06:00; sat,sun 00:00-24:00 50MB/s" doc:"When footage may come home, in the recording server's local time; empty is always"`
	// Grace is the time between home's receipt and the question whether it still has the segment.
	Grace time.Duration `json:"grace,omitempty" doc:"Nanoseconds from home's receipt to the confirmation after which a copy is deleted; 0 is 10 seconds"`
}

// DefaultGrace is the grace of a policy that says none: longer than most disks
// and their caches take to show that a write did not last.
const DefaultGrace = 10 * time.Second

const (
	maxGrace       = time.Minute // the session stays open meanwhile
	maxWindowsText = 500         // bytes of text
)

// WithDefaults returns p with an empty grace replaced.
func (p MergePolicy) WithDefaults() MergePolicy {
	if p.Grace == 0 {
		p.Grace = DefaultGrace
	}
	return p
}

// Validate reports the first thing wrong with p.
func (p MergePolicy) Validate() error {
	switch {
	case p.BytesPerSecond < 0 || p.BytesPerSecond > 0 && p.BytesPerSecond < 1000:
		return Errorf(CodeInvalid, "footage comes home with at least 1000 bytes a second, or with 0 for half of what is free; found %d", p.BytesPerSecond)
	case p.Grace < 0 || p.Grace > maxGrace:
		return Errorf(CodeInvalid, "the grace of a merge is at most a minute, found %s", p.Grace)
	case len(p.Windows) > maxWindowsText:
		return Errorf(CodeInvalid, "the windows of a merge may have %d bytes, found %d", maxWindowsText, len(p.Windows))
	}
	_, err := parseWindows(p.Windows)
	return err
}

// At returns whether footage may come home at a moment of home's local time,
// and with how many bytes a second at most; 0 is half of what is free.
func (p MergePolicy) At(local time.Time) (bytesPerSecond int64, open bool) {
	windows, err := parseWindows(p.Windows)
	if err != nil || len(windows) == 0 { // one that was stored was valid
		return p.BytesPerSecond, true
	}
	for _, w := range windows {
		if w.has(local) {
			if w.bytesPerSecond > 0 {
				return w.bytesPerSecond, true
			}
			return p.BytesPerSecond, true
		}
	}
	return 0, false
}

// mergeWindow is one part of MergePolicy.Windows.
type mergeWindow struct {
	days           [7]bool // of its beginning, by time.Weekday
	from, to       int     // minutes of the day; to is up to from + a day
	bytesPerSecond int64
}

const dayMinutes = 24 * 60

func (w mergeWindow) has(local time.Time) bool {
	minute, day := local.Hour()*60+local.Minute(), local.Weekday()
	if w.days[day] && minute >= w.from && minute < w.to {
		return true
	}
	yesterday := (day + 6) % 7
	return w.days[yesterday] && minute+dayMinutes < w.to
}

// parseWindows reads "DAYS HH:MM-HH:MM [RATE]; …". One that ends before it
// begins ends on the next day.
func parseWindows(text string) ([]mergeWindow, error) {
	var windows []mergeWindow
	for part := range strings.SplitSeq(text, ";") {
		fields := strings.Fields(part)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 || len(fields) > 3 {
			return nil, badWindow(part)
		}
		var w mergeWindow
		from, to, ok := strings.Cut(fields[1], "-")
		var daysOK bool
		w.days, daysOK = parseDays(fields[0])
		if !ok || !daysOK || !parseMinute(from, &w.from) || !parseMinute(to, &w.to) || w.from == dayMinutes {
			return nil, badWindow(part)
		}
		if w.to <= w.from {
			w.to += dayMinutes
		}
		if len(fields) == 3 && !parseRate(fields[2], &w.bytesPerSecond) {
			return nil, badWindow(part)
		}
		windows = append(windows, w)
	}
	return windows, nil
}

func badWindow(part string) error {
	return Errorf(CodeInvalid, "a window of a merge is written as `mon-fri 20:00-06:00` or `sat,sun 00:00-24:00 50MB/s`, several divided by semicolons; found %.80q", strings.TrimSpace(part))
}

func parseMinute(text string, into *int) bool {
	h, m, ok := strings.Cut(text, ":")
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(m) != 2 || minute > 59 || hour*60+minute > dayMinutes {
		return false
	}
	*into = int(hour*60 + minute)
	return true
}

// parseRate reads 50MB/s, 800kB/s, 1GB/s or a plain number of bytes a second.
func parseRate(text string, into *int64) bool {
	number := strings.TrimSuffix(text, "/s")
	factor := 1.0
	for unit, f := range map[string]float64{"kB": 1e3, "MB": 1e6, "GB": 1e9} {
		if rest, ok := strings.CutSuffix(number, unit); ok {
			number, factor = rest, f
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n*factor >= 1000 && n*factor <= 1e15) {
		return false
	}
	*into = int64(n * factor)
	return true
}

// Transfer is footage on its way home, as one of the two servers sees it.
type Transfer struct {
	From ServerID `json:"from" doc:"Failover server that recorded it"`
	To   ServerID `json:"to" doc:"Recording server that it belongs to"`
	// Camera is the one whose footage is sent now.
	Camera         CameraID  `json:"camera,omitempty"`
	SegmentsLeft   int       `json:"segments_left"`
	BytesLeft      int64     `json:"bytes_left"`
	BytesDone      int64     `json:"bytes_done" doc:"That are home since the transfer began"`
	BytesPerSecond int64     `json:"bytes_per_second" doc:"Over the last seconds"`
	Until          time.Time `json:"until,omitzero" doc:"When it will be done, at this rate"`
	Waiting        string    `json:"waiting,omitempty" doc:"Why nothing is sent now, or less than there is room for; empty when nothing holds it up"`
	// Held segments are left out for now.
	Held int `json:"held,omitempty" doc:"Segments that home refused, or whose bytes failed their hash three times; the log says which and why"`
}
