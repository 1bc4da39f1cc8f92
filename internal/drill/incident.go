package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"understudy"
)

// incidentTime is how long an incident may take to be concluded once all is home.
const incidentTime = 45 * time.Second

// record takes the site's own record of what happened, keeps it beside the
// exports, and compares what it says is missing with the frames that were
// counted one by one: two ways to one figure. Cameras that the fault did not
// befall are no part of it.
func (r *rehearsal) record(ctx context.Context, result *Result) error {
	var found understudy.Incident
	err := wait(ctx, incidentTime, "the incident to be concluded", func(ctx context.Context) bool {
		i, err := r.incident(ctx)
		found = i
		return err == nil && i.Phase == understudy.IncidentOver
	})
	if err != nil {
		return err
	}
	result.Incident = &found
	sick := r.sick()
	for _, p := range result.pictures {
		n := slices.IndexFunc(found.Cameras, func(c understudy.IncidentCamera) bool { return c.Camera == p.camera })
		if !slices.Contains(sick, p.camera) {
			if n >= 0 {
				return understudy.Errorf(understudy.CodeInternal, "incident %s tells of camera %s, to which nothing happened", found.ID, p.camera)
			}
			continue
		}
		if n < 0 || found.Cameras[n].Account == nil {
			return understudy.Errorf(understudy.CodeInternal, "incident %s has no account of camera %s", found.ID, p.camera)
		}
		a := found.Cameras[n].Account
		counted, frame := p.account.missing(a.From, a.To), p.account.Interval
		if r.options.Real != nil {
			frame *= 2 // seen by two observers, each with the clock of its own arrivals
		}
		said := time.Duration(a.Milliseconds) * time.Millisecond
		if (said - counted).Abs() > frame+time.Millisecond {
			return understudy.Errorf(understudy.CodeInternal, "incident %s says that %s of camera %s are missing, and the frames that were counted say %s",
				found.ID, said, p.camera, counted.Round(time.Millisecond))
		}
	}
	return r.keepRecord(ctx, found)
}

// incident returns the first incident of home since the fault, with what it cost.
func (r *rehearsal) incident(ctx context.Context) (understudy.Incident, error) {
	all, err := r.site.Client.Incidents(ctx, 0)
	if err != nil {
		return understudy.Incident{}, err
	}
	for _, i := range slices.Backward(all) {
		if i.Home == home && !i.Steps[len(i.Steps)-1].At.Before(r.fault) {
			if i.Phase != understudy.IncidentOver {
				return i, nil
			}
			return r.site.Client.Incident(ctx, i.ID)
		}
	}
	return understudy.Incident{}, understudy.Errorf(understudy.CodeNotFound, "the site tells of no incident since the %s", r.options.Fault)
}

func (r *rehearsal) keepRecord(ctx context.Context, i understudy.Incident) error {
	page, err := r.site.Client.IncidentReport(ctx, i.ID)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("the incident could not be written as JSON: %w", err)
	}
	for name, content := range map[string][]byte{"incident.html": page, "incident.json": text} {
		if err := os.WriteFile(filepath.Join(r.exports, name), content, 0o600); err != nil {
			return understudy.Errorf(understudy.CodeUnavailable, "the record of the incident could not be kept: %w", err)
		}
	}
	return nil
}
