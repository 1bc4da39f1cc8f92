package management

import (
	"context"
	"slices"

	"understudy"
)

// standbys returns who may stand in for home, in the order in which they are
// asked: the hot standby, then the groups in their order.
func standbys(site understudy.Site, home understudy.RecordingServer) []understudy.ServerID {
	var order []understudy.ServerID
	add := func(id understudy.ServerID) {
		if id != "" && !slices.Contains(order, id) {
			order = append(order, id)
		}
	}
	add(home.HotStandby)
	for _, id := range []understudy.GroupID{home.PrimaryGroup, home.SecondaryGroup} {
		if group, ok := site.Group(id); ok {
			for _, member := range group.Members {
				add(member)
			}
		}
	}
	return order
}

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

func selectCameras(site understudy.Site, theirs func(understudy.Camera) bool) []understudy.Camera {
	return slices.DeleteFunc(slices.Clone(site.Cameras), func(c understudy.Camera) bool { return !theirs(c) })
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
// a hot standby are credentials given ahead of time.
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
		for _, home := range site.RecordingServers {
			rank := slices.Index(standbys(site, home), server)
			if rank < 0 {
				continue
			}
			duty := understudy.Duty{Home: home, Standby: understudy.StandbyCold, Rank: rank}
			if home.HotStandby == server {
				duty.Standby = understudy.StandbyHot
			}
			if duty.Cameras, err = m.dutyCameras(r, site, duty); err != nil {
				return err
			}
			duties = append(duties, duty)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return duties, nil
}

func (m *Management) dutyCameras(r Reader, site understudy.Site, d understudy.Duty) ([]understudy.AssignedCamera, error) {
	of := func(c understudy.Camera) understudy.AssignedCamera {
		lease, _ := site.Lease(c.ID)
		return understudy.AssignedCamera{Camera: c, Epoch: lease.Epoch, Record: c.Failover == understudy.SupportFull}
	}
	cameras := selectCameras(site, func(c understudy.Camera) bool {
		return c.Home == d.Home.ID && c.Failover != understudy.SupportNone
	})
	if d.Standby == understudy.StandbyHot {
		return m.assign(r, cameras, of)
	}
	assigned := make([]understudy.AssignedCamera, len(cameras))
	for i, c := range cameras {
		assigned[i] = of(c)
	}
	return assigned, nil
}
