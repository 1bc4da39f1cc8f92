package understudy

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a recording server may run where there is none
)

// Schedule is weekly windows.
type Schedule []window

// window is a stretch of some days of the week, by the clock on a wall.
type window struct {
	name string
	days [7]bool       // by time.Weekday, of its beginning
	from time.Duration // after midnight
	to   time.Duration // not later than From: of the next day
	zone *time.Location
}

// Occurrence is a window as it comes once.
type Occurrence struct {
	Name     string
	From, To time.Time
}

const maxOccasions = 50

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseSchedule reads windows "NAME=DAYS FROM-TO [ZONE]", separated by ";".
// DAYS is daily, or days and ranges of days such as mon-fri,sun; FROM and TO are
// HH:MM, where a TO that is not later is of the next day; ZONE is a name of the
// time zone database, UTC unless given. The empty text is no window.
func ParseSchedule(text string) (Schedule, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if len(text) > maxRuleText || !printable(text) {
		return nil, Errorf(CodeInvalid, "a schedule has at most %d bytes, and no control characters", maxRuleText)
	}
	var all Schedule
	for part := range strings.SplitSeq(text, ";") {
		w, ok := parseWindow(part)
		if !ok || len(all) == maxOccasions {
			return nil, Errorf(CodeInvalid, "a schedule is at most %d windows such as `night=mon-fri 22:00-06:00 Europe/Vienna`, separated by `;`; found %.120q", maxOccasions, part)
		}
		all = append(all, w)
	}
	return all, nil
}

func parseWindow(text string) (w window, ok bool) {
	name, rest, _ := strings.Cut(text, "=")
	fields := strings.Fields(rest)
	w = window{name: strings.TrimSpace(name), zone: time.UTC}
	if w.name == "" || len(w.name) > maxNoteName || len(fields) < 2 || len(fields) > 3 {
		return w, false
	}
	if w.days, ok = parseDays(fields[0]); !ok {
		return w, false
	}
	from, to, found := strings.Cut(fields[1], "-")
	var fromOK, toOK bool
	w.from, fromOK = parseClock(from)
	w.to, toOK = parseClock(to)
	if !found || !fromOK || !toOK || w.from == 24*time.Hour {
		return w, false
	}
	if len(fields) == 3 {
		zone, err := time.LoadLocation(fields[2])
		if err != nil || fields[2] == "Local" {
			return w, false
		}
		w.zone = zone
	}
	return w, true
}

func parseDays(text string) (days [7]bool, ok bool) {
	if text == "daily" {
		return [7]bool{true, true, true, true, true, true, true}, true
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			return days, false
		}
		for day := from; ; day = (day + 1) % 7 {
			days[day] = true
			if day == to {
				break
			}
		}
	}
	return days, true
}

func parseClock(text string) (time.Duration, bool) {
	if text == "24:00" {
		return 24 * time.Hour, true
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		return 0, false
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, true
}

// Between returns the occurrences that touch [from, to), by time. Where the
// clock on the wall is set, a window is as much shorter or longer.
func (s Schedule) Between(from, to time.Time) []Occurrence {
	var found []Occurrence
	for _, w := range s {
		local := from.In(w.zone)
		for day := -1; ; day++ {
			begin := time.Date(local.Year(), local.Month(), local.Day()+day, 0, 0, 0, 0, w.zone)
			o := Occurrence{Name: w.name, From: w.on(begin, w.from, 0), To: w.on(begin, w.to, 0)}
			if w.to <= w.from {
				o.To = w.on(begin, w.to, 1)
			}
			if day > 0 && !o.From.Before(to) {
				break
			}
			if w.days[begin.Weekday()] && o.From.Before(to) && o.To.After(from) {
				found = append(found, o)
			}
		}
	}
	slices.SortFunc(found, func(a, b Occurrence) int { return a.From.Compare(b.From) })
	return found
}

// on returns a time of the clock on a day, or so many days later.
func (w window) on(day time.Time, clock time.Duration, later int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day()+later, int(clock/time.Hour), int(clock%time.Hour/time.Minute), 0, 0, w.zone)
}
