package management

import (
	"context"
	"slices"

	"understudy"
)

const maxUseAddress = 64 // bytes

// validateUse looks at what a server tells that somebody did with footage. It is
// a user's, and in no part of it can be said anything else.
func validateUse(r understudy.Report) error {
	wrong := func(format string, args ...any) error {
		return understudy.Errorf(understudy.CodeInvalid, "a report of kind access "+format, args...)
	}
	u := r.Use
	if u == nil {
		return wrong("tells what a user did with footage, in its field use")
	}
	refusable := slices.Contains(understudy.Actions(), u.Action) && !u.Action.Changing()
	switch {
	case u.User == "" || len(u.User) > maxVisitor || !printable(u.User) || u.Server != "" || len(u.Routes) > 0:
		return wrong("is about a user, named in up to %d bytes without control characters, and found %.40q", maxVisitor, u.User)
	case u.Refused && !refusable, !u.Refused && u.Action != understudy.ActionPlayback && u.Action != understudy.ActionExport:
		return wrong("is of playback or export, or of what was refused, not of %.40q", string(u.Action))
	case len(r.Milestones) > 0 || r.Camera == "" && len(u.Cameras) == 0 && u.More == 0:
		return wrong("is about a camera or several, and about nothing else")
	case u.Requests < 1 || u.More < 0 || u.Began.IsZero() || u.Ended.Before(u.Began):
		return wrong("is of one request or more, from a time to a later one")
	case len(u.Footage) > understudy.MaxUseFootage || len(u.Cameras) > understudy.MaxUseCameras:
		return wrong("names at most %d stretches of footage and %d cameras", understudy.MaxUseFootage, understudy.MaxUseCameras)
	}
	for _, address := range []string{u.Address, u.TokenAddress} {
		if len(address) > maxUseAddress || !printable(address) {
			return wrong("has addresses of at most %d bytes, and found %.80q", maxUseAddress, address)
		}
	}
	for _, s := range u.Footage {
		if s.To.Before(s.From) {
			return wrong("has stretches of footage that end after they begin, and found %s to %s", s.From, s.To)
		}
	}
	for _, c := range u.Cameras {
		if err := understudy.ValidateID("camera", c); err != nil {
			return err
		}
	}
	return nil
}

// ReportOwn appends what the management server itself refused.
func (m *Management) ReportOwn(ctx context.Context, _ understudy.ServerID, r understudy.Report) error {
	return m.update(ctx, func(tx *change) error { return tx.recordUse("", r.Camera, *r.Use) })
}

// recordUse appends what somebody did with footage: he is the actor, from where he came.
func (c *change) recordUse(server understudy.ServerID, camera understudy.CameraID, u understudy.Use) error {
	c.from = u.Address // and not that of the server
	return c.record(understudy.Event{
		Kind: understudy.EventAccess, Server: server, Camera: camera, Actor: u.Who(), Sentence: oneSentence(u.Sentence(camera, server)),
	})
}
