package understudy_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	us "understudy"
)

func TestSiteApplyPutsReplacesAndRemovesInOrder(t *testing.T) {
	cam := func(id string) us.Change { return us.Change{Camera: &us.Camera{ID: us.CameraID(id)}} }
	lease := func(id, holder string, epoch uint64) us.Change {
		return us.Change{Lease: &us.Lease{Camera: us.CameraID(id), Holder: us.ServerID(holder), Epoch: epoch}}
	}
	site := us.Site{}
	for i, changes := range [][]us.Change{
		{cam("b"), lease("b", "rec1", 1)},
		{cam("a"), lease("a", "rec1", 1)},
		{lease("b", "fo1", 2)},
		{{RecordingServer: &us.RecordingServer{ID: "rec1", Addresses: us.Addresses{Media: "h:1"}}}},
		{{FailoverServer: &us.FailoverServer{ID: "fo1", Addresses: us.Addresses{Media: "h:2"}}}},
		{{GoneCamera: "a"}},
	} {
		site = site.Apply(us.Event{Seq: uint64(i + 1), Changes: changes})
	}
	if got, want := site.Cameras, []us.Camera{{ID: "b"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("cameras %v, want %v", got, want)
	}
	if got, _ := site.Lease("b"); got.Holder != "fo1" || got.Epoch != 2 {
		t.Errorf("lease of b is %+v, want fo1 in epoch 2", got)
	}
	if _, ok := site.Lease("a"); ok {
		t.Error("a camera that is gone kept its lease")
	}
	if got, _ := site.Addresses("fo1"); got.Media != "h:2" {
		t.Errorf("address of fo1 is %q", got.Media)
	}
}

func TestSiteApplyIgnoresWhatItHas(t *testing.T) {
	site := us.Site{Seq: 7}
	after := site.Apply(us.Event{Seq: 7, Changes: []us.Change{{Camera: &us.Camera{ID: "a"}}}})
	if !reflect.DeepEqual(site, after) {
		t.Errorf("an old event changed the site to %+v", after)
	}
}

func TestSiteApplyLeavesTheOldValueAlone(t *testing.T) {
	before := us.Site{}.Apply(us.Event{Seq: 1, Changes: []us.Change{{Camera: &us.Camera{ID: "a", Name: "old"}}, {Lease: &us.Lease{Camera: "a", Epoch: 1}}}})
	before.Apply(us.Event{Seq: 2, Changes: []us.Change{{Camera: &us.Camera{ID: "a", Name: "new"}}, {Lease: &us.Lease{Camera: "a", Epoch: 2}}}})
	if before.Cameras[0].Name != "old" || before.Leases[0].Epoch != 1 {
		t.Error("Apply wrote into the site it was called on")
	}
}

func TestSiteOnlyHidesCamerasAndTheirLeases(t *testing.T) {
	site := us.Site{
		Cameras: []us.Camera{{ID: "a"}, {ID: "b"}},
		Leases:  us.Leases{{Camera: "a"}, {Camera: "b"}},
		Moved:   []us.MovedCamera{{Camera: "a", From: []us.ServerID{"rec1"}}, {Camera: "b", From: []us.ServerID{"rec2"}}},
	}
	seen := site.Only(func(id us.CameraID) bool { return id == "b" })
	if len(seen.Cameras) != 1 || len(seen.Leases) != 1 || seen.Leases[0].Camera != "b" || len(seen.Moved) != 1 || seen.Moved[0].Camera != "b" {
		t.Errorf("seen %+v, want b only", seen)
	}
	if len(site.Cameras) != 2 {
		t.Error("Only changed the site it was called on")
	}
}

func TestFootageLiesAtHomesAndFailoverServers(t *testing.T) {
	site := us.Site{
		Cameras:          []us.Camera{{ID: "a", Home: "rec1"}, {ID: "b", Home: "rec3"}},
		RecordingServers: []us.RecordingServer{{ID: "rec1"}, {ID: "rec2"}, {ID: "rec3"}},
		FailoverServers:  []us.FailoverServer{{ID: "fo1"}},
		Moved:            []us.MovedCamera{{Camera: "b", From: []us.ServerID{"gone", "rec1"}}},
	}
	for camera, want := range map[us.CameraID][]us.ServerID{
		"a":       {"fo1", "rec1"},
		"b":       {"fo1", "rec1", "rec3"},
		"unknown": {"fo1", "rec1", "rec2", "rec3"},
	} {
		if got := slices.Sorted(maps.Keys(site.FootageServers(camera))); !slices.Equal(got, want) {
			t.Errorf("footage of camera %s is looked for at %v, want %v", camera, got, want)
		}
	}
}
