package notify

import (
	"slices"
	"strings"

	"understudy"
)

// severities, the least first.
var severities = []string{"info", "warning", "critical"}

// severityOf says how urgent an event is. That a part has gone home again is as
// important to who was woken as that it was taken over.
func severityOf(kind understudy.EventKind) string {
	switch kind {
	case understudy.EventTakeover, understudy.EventIdentity:
		return "critical"
	case understudy.EventFailback, understudy.EventRefused, understudy.EventServer, understudy.EventCamera, understudy.EventStorage, understudy.EventIncident:
		return "warning"
	}
	return "info"
}

// filter says which events a target wants.
type filter struct {
	least int // index of severities
	kinds []understudy.EventKind
}

// newFilter takes the least severity, or kinds of which all are told.
func newFilter(target, severity string, wanted []string) (filter, error) {
	f := filter{least: slices.Index(severities, severity)}
	switch {
	case severity == "" && len(wanted) > 0:
		f.least = 0
	case severity == "":
		f.least = slices.Index(severities, "warning")
	case f.least < 0:
		return f, understudy.Errorf(understudy.CodeInvalid, "target %q of notify: severity is %s, found %q", target, strings.Join(severities, ", "), severity)
	}
	for _, kind := range wanted {
		if !slices.Contains(understudy.EventKinds(), understudy.EventKind(kind)) {
			return f, understudy.Errorf(understudy.CodeInvalid, "target %q of notify: there is no kind of event %q; the kinds are %v", target, kind, understudy.EventKinds())
		}
		f.kinds = append(f.kinds, understudy.EventKind(kind))
	}
	return f, nil
}

func (f filter) takes(e understudy.Event) bool {
	return slices.Index(severities, severityOf(e.Kind)) >= f.least && (len(f.kinds) == 0 || slices.Contains(f.kinds, e.Kind))
}
