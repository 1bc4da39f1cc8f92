package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"understudy"
)

// act is one thing that is done to a site, or waited for. A kind of fault is a list of them.
type act func(ctx context.Context, r *run) error

// all does acts one after the other.
func all(acts ...act) act {
	return func(ctx context.Context, r *run) error {
		for _, a := range acts {
			if err := a(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}
}

// strike does a fault that may cost frames of the cameras named, or of all of
// them, and notes before it what is durable: that must not be lost.
func strike(p promise, limit time.Duration, cameras []understudy.CameraID, acts ...act) act {
	return func(ctx context.Context, r *run) error {
		most := limit
		if r.Mode == understudy.StandbyCold {
			most += coldExtra
		}
		now, _ := r.site.Client.Current()
		for _, c := range r.site.Layout.Cameras {
			if len(cameras) > 0 && !slices.Contains(cameras, c.ID) || p == takeover && r.Mode == understudy.StandbyMirror {
				continue // nothing of it may be lost
			}
			l, _ := now.Lease(c.ID)
			from, err := r.newest(ctx, l.Holder, c.ID)
			if err != nil {
				return fmt.Errorf("what %s has durably of camera %s is not known: %w", l.Holder, c.ID, err)
			}
			r.windows = append(r.windows, window{camera: c.ID, struck: time.Now(), from: from, limit: most, cause: r.kind.does})
		}
		if r.struck.IsZero() {
			r.struck = time.Now()
		}
		return all(acts...)(ctx, r)
	}
}

// send sends a signal to a server or a camera, and waits for its end if that is what it means.
func send(s syscall.Signal, names ...string) act {
	return func(ctx context.Context, r *run) error {
		for _, name := range names {
			r.say("%s to %s", s, name)
			p, err := r.process(name)
			if err == nil {
				err = p.Signal(s)
			}
			if err != nil {
				return err
			}
			if s == syscall.SIGKILL {
				<-p.Gone()
			}
		}
		return nil
	}
}

func kill(names ...string) act   { return send(syscall.SIGKILL, names...) }
func stop(names ...string) act   { return send(syscall.SIGTERM, names...) }
func hang(names ...string) act   { return send(syscall.SIGSTOP, names...) }
func resume(names ...string) act { return send(syscall.SIGCONT, names...) }

// start starts what has ended, or waits until it has.
func start(names ...string) act {
	return func(ctx context.Context, r *run) error {
		for _, name := range names {
			p, err := r.process(name)
			if err != nil {
				return err
			}
			if err := r.wait(ctx, patience, name+" to end", func(context.Context) bool { return !p.Running() }); err != nil {
				return err
			}
			r.say("start %s", name)
			if _, camera := r.cameras[name]; camera {
				r.reborn[understudy.CameraID(name)] = append(r.reborn[understudy.CameraID(name)], time.Now())
			}
			if err := p.Start(); err != nil {
				return err
			}
		}
		return nil
	}
}

// powerOff takes the power of a machine: no word to anybody, and what its disk
// had not synced is there, or in part, or not.
func powerOff(name string) act {
	return func(ctx context.Context, r *run) error {
		if err := r.net.pull(name, false); err != nil {
			return err
		}
		if err := kill(name)(ctx, r); err != nil {
			return err
		}
		if err := r.net.unplug(name); err != nil {
			return err
		}
		if d, ok := r.disks[name]; ok {
			return d.do(fmt.Sprintf("power %d", r.random.Uint64()))
		}
		return nil
	}
}

func powerOn(name string) act {
	return func(ctx context.Context, r *run) error {
		if err := r.net.plug(name); err != nil {
			return err
		}
		return start(name)(ctx, r)
	}
}

// onNet does something to the network.
func onNet(what string, do func(n *network) error) act {
	return func(_ context.Context, r *run) error {
		r.say("%s", what)
		return do(r.net)
	}
}

func cut(a, b string) act {
	return onNet("cut "+a+" from "+b, func(n *network) error { return n.cut(a, b) })
}

func cutOneWay(from, to string) act {
	return onNet("nothing passes from "+from+" to "+to, func(n *network) error { return n.drop(from, to, 100) })
}

func lose(a, b string, percent int) act {
	return onNet(fmt.Sprintf("lose %d %% between %s and %s", percent, a, b), func(n *network) error {
		return errors.Join(n.drop(a, b, percent), n.drop(b, a, percent))
	})
}

// isolate cuts a machine from every other one but some.
func isolate(name string, but ...string) act {
	return onNet("isolate "+name, func(n *network) error {
		var errs []error
		for other := range n.addresses {
			if other != name && !slices.Contains(but, other) {
				errs = append(errs, n.cut(name, other))
			}
		}
		return errors.Join(errs...)
	})
}

func limit(name, rate string) act {
	return onNet("limit "+name+" to "+rate, func(n *network) error { return n.limit(name, rate) })
}

func lengthen(name string, delay, jitter time.Duration) act {
	return onNet(fmt.Sprintf("delay %s by %s and up to %s more", name, delay, jitter), func(n *network) error { return n.lengthen(name, delay, jitter) })
}

func pull(name string, in bool) act {
	return onNet(fmt.Sprintf("the cable of %s is in: %v", name, in), func(n *network) error { return n.pull(name, in) })
}

func mend() act { return onNet("mend the network", (*network).mend) }

// onDisk tells the disk of a server what to do.
func onDisk(server, what string) act {
	return func(_ context.Context, r *run) error {
		r.say("the disk of %s: %s", server, what)
		return r.disks[server].do(what)
	}
}

// mounted mounts the recording server's disk, or takes it away under it.
func mounted(in bool) act {
	return func(_ context.Context, r *run) error {
		r.say("the disk of %s is mounted: %v", rec, in)
		if !in {
			return sh("umount -l " + r.mountPoint())
		}
		disk := filepath.Join(r.Dir, "disk-of-"+rec)
		return errors.Join(os.MkdirAll(disk, 0o700), sh("mount --bind "+disk+" "+r.mountPoint()))
	}
}

func (r *run) mountPoint() string { return filepath.Join(r.Dir, rec, "footage") }

// wipe gives a server that is not running an empty disk.
func wipe(server string) act {
	return func(_ context.Context, r *run) error {
		r.say("the disk of %s is empty", server)
		return os.RemoveAll(filepath.Join(r.site.Folder(server), "footage"))
	}
}

// forget begins the account of frames anew: what was before is gone with a disk.
func forget() act {
	return func(_ context.Context, r *run) error {
		r.from = time.Now()
		return nil
	}
}

// pause lets some time pass.
func pause(length time.Duration) act {
	return func(ctx context.Context, r *run) error { return r.pause(ctx, length) }
}

// moment lets a random time pass.
func moment(least, most time.Duration) act {
	return func(ctx context.Context, r *run) error {
		length := least + time.Duration(r.random.Int64N(int64(most-least)))
		r.say("wait %s", length)
		return r.pause(ctx, length)
	}
}

// inAnyOrder starts servers again in a random order, with random times between.
func inAnyOrder(names ...string) act {
	return func(ctx context.Context, r *run) error {
		order := slices.Clone(names)
		r.random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, name := range order {
			if err := all(start(name), moment(0, time.Second))(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}
}

// records waits until a server has footage from after now of every camera named,
// or of all that it may have; what was open to be lost is over then.
func records(server string, cameras ...understudy.CameraID) act {
	return func(ctx context.Context, r *run) error {
		return r.recorded(ctx, server, cameras, func(understudy.Camera) understudy.ServerID { return understudy.ServerID(server) })
	}
}

// recorded is records by whoever holds the lease.
func recorded(cameras ...understudy.CameraID) act {
	return func(ctx context.Context, r *run) error {
		return r.recorded(ctx, "its holder", cameras, func(c understudy.Camera) understudy.ServerID {
			now, _ := r.site.Client.Current()
			l, _ := now.Lease(c.ID)
			return l.Holder
		})
	}
}

func (r *run) recorded(ctx context.Context, who string, cameras []understudy.CameraID, by func(understudy.Camera) understudy.ServerID) error {
	since := time.Now().Add(2 * frameLength) // the last frame of before ends after it was made
	for _, c := range r.site.Layout.Cameras {
		home := strings.HasPrefix(who, "rec") // which records its own cameras only
		if len(cameras) > 0 && !slices.Contains(cameras, c.ID) || home && string(c.Home) != who {
			continue
		}
		err := r.wait(ctx, patience, who+" to record camera "+string(c.ID), func(ctx context.Context) bool {
			newest, err := r.newest(ctx, by(c), c.ID)
			return err == nil && newest.After(since)
		})
		if err != nil {
			return err
		}
		for i, w := range r.windows {
			if w.camera == c.ID {
				r.windows[i].close(time.Now())
			}
		}
	}
	r.say("%s records", who)
	return nil
}

// holds waits until a server holds the leases of every camera.
func holds(server string) act {
	return func(ctx context.Context, r *run) error {
		err := r.wait(ctx, patience, server+" to hold every lease", func(ctx context.Context) bool {
			now, err := r.site.Client.Site(ctx)
			return err == nil && len(now.Holders()[understudy.ServerID(server)]) == len(r.site.Layout.Cameras)
		})
		r.say("%s holds every lease (%v)", server, err)
		return err
	}
}

// password changes what the site knows of a camera's password.
func password(camera understudy.CameraID, to understudy.Secret) act {
	return func(ctx context.Context, r *run) error {
		for _, c := range r.site.Layout.Cameras {
			if c.ID == camera {
				r.say("another password for %s", camera)
				_, err := r.site.Client.PutCamera(ctx, c, &to)
				return err
			}
		}
		return fmt.Errorf("this run has no camera %s", camera)
	}
}

// backup copies the data of the management server, which has to stand still for it.
func backup() act {
	return func(ctx context.Context, r *run) error {
		if err := kill("management")(ctx, r); err != nil {
			return err
		}
		if err := sh("cp -a " + r.site.Folder("management") + " " + r.backupDir()); err != nil { // with its modes: it holds secrets
			return err
		}
		return start("management")(ctx, r)
	}
}

// restore puts the copy in the place of the management server's data, which is not running.
func restore() act {
	return func(_ context.Context, r *run) error {
		r.say("the management server's data is the old copy")
		folder := r.site.Folder("management")
		if err := os.RemoveAll(folder); err != nil {
			return err
		}
		return os.Rename(r.backupDir(), folder)
	}
}

func (r *run) backupDir() string { return filepath.Join(r.Dir, "management-before") }
