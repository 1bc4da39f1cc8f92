package management

import (
	"context"
	"slices"

	"understudy"
)

// Assignment returns what a recording server has at home, whoever holds the
// leases, or what a failover server holds now.
func (m *Management) Assignment(ctx context.Context, server understudy.ServerID) (understudy.Assignment, error) {
	assignment := understudy.Assignment{Server: server}
	err := m.store.View(ctx, func(r Reader) error {
		site, err := r.Site()
		if err != nil {
			return err
		}
		assignment.Seq = site.Seq
		_, recording := site.RecordingServer(server)
		if _, failover := site.FailoverServer(server); !recording && !failover {
			return understudy.Errorf(understudy.CodeNotFound, "there is no recording or failover server %q", string(server))
		}
		theirs := func(c understudy.Camera) bool { return c.Home == server }
		if !recording {
			theirs = func(c understudy.Camera) bool {
				lease, _ := site.Lease(c.ID)
				return lease.Holder == server
			}
		}
		cameras := selectCameras(site, theirs)
		assignment.Cameras, err = m.assign(r, cameras, func(c understudy.Camera) understudy.AssignedCamera {
			lease, _ := site.Lease(c.ID)
			return understudy.AssignedCamera{Camera: c, Epoch: lease.Epoch, Record: recording || c.Failover == understudy.SupportFull}
		})
		return err
	})
	if err != nil {
		return understudy.Assignment{}, err
	}
	return assignment, nil
}

func selectCameras(site understudy.Site, theirs func(understudy.Camera) bool) (selected []understudy.Camera) {
	for _, c := range site.Cameras {
		if theirs(c) {
			selected = append(selected, c)
		}
	}
	return selected
}

// assign makes of each camera, with its decrypted credentials, what a server needs of it.
func (m *Management) assign(r Reader, cameras []understudy.Camera, of func(understudy.Camera) understudy.AssignedCamera) ([]understudy.AssignedCamera, error) {
	credentials, err := m.credentials(r, cameras)
	if err != nil {
		return nil, err
	}
	assigned := make([]understudy.AssignedCamera, len(cameras))
	for i, c := range cameras {
		assigned[i] = of(c)
		assigned[i].Credentials = credentials[c.ID]
	}
	return assigned, nil
}

// Duties returns whom a failover server may have to play, by home's id. Only to
// a mirror and a hot standby are credentials given ahead of time.
func (m *Management) Duties(ctx context.Context, server understudy.ServerID) ([]understudy.Duty, error) {
	duties := []understudy.Duty{}
	err := m.store.View(ctx, func(r Reader) error {
		site, err := r.Site()
		if err != nil {
			return err
		}
		if _, ok := site.FailoverServer(server); !ok {
			return understudy.Errorf(understudy.CodeNotFound, "there is no failover server %q", string(server))
		}
		cameras, err := m.standbyCameras(r, site, server)
		if err != nil {
			return err
		}
		for _, home := range site.RecordingServers {
			theirs := cameras[home.ID]
			if len(theirs) > 0 || standsBy(site, home, server) {
				duties = append(duties, understudy.Duty{Home: home, Cameras: orEmpty(theirs)})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return duties, nil
}

// standsBy reports whether a server may stand in for a home whatever cameras it has.
func standsBy(site understudy.Site, home understudy.RecordingServer, server understudy.ServerID) bool {
	return slices.Contains(site.Standbys(understudy.Camera{Home: home.ID}), server)
}

// standbyCameras returns the cameras that a server stands by for, by home.
func (m *Management) standbyCameras(r Reader, site understudy.Site, server understudy.ServerID) (map[understudy.ServerID][]understudy.StandbyCamera, error) {
	all := map[understudy.ServerID][]understudy.StandbyCamera{}
	var early []understudy.Camera
	for _, c := range site.Cameras {
		kind, rank, ok := site.Standby(c, server)
		if !ok {
			continue
		}
		if kind != understudy.StandbyCold {
			early = append(early, c)
		}
		lease, _ := site.Lease(c.ID)
		all[c.Home] = append(all[c.Home], understudy.StandbyCamera{
			AssignedCamera: understudy.AssignedCamera{Camera: c, Epoch: lease.Epoch, Record: c.Failover == understudy.SupportFull},
			Standby:        kind, Rank: rank,
		})
	}
	credentials, err := m.credentials(r, early)
	for _, theirs := range all {
		for i, c := range theirs {
			theirs[i].Credentials = credentials[c.Camera.ID]
		}
	}
	return all, err
}
