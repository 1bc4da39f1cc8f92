package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"

	"understudy"
	"understudy/internal/fs"
)

// asideDir is where Repair puts what it takes out of view. Nothing of the
// program reads it; whoever looked at it may delete it.
const asideDir = "set-aside"

// Repair checks a folder of a store, mends what can be mended, and checks it
// again. It never deletes footage: what is no segment of this store, and bytes
// that belong to none, go to the folder set-aside. CodeConflict while a server
// has the store.
func Repair(ctx context.Context, dir string, progress func(done, total int64)) (Checked, error) {
	return repairFS(ctx, fs.System(dir), dir, progress)
}

func repairFS(ctx context.Context, files fs.FS, dir string, progress func(done, total int64)) (Checked, error) {
	c, err := newChecker(files, dir, progress)
	if err != nil {
		return Checked{}, err
	}
	lock, err := files.Lock(lockFile)
	if err != nil {
		return Checked{}, understudy.Errorf(understudy.CodeConflict, "the folder %s is held by a server; stop it, and begin the repair again: %w", dir, err)
	}
	defer lock.Close()
	if err := c.run(ctx); err != nil {
		return c.checked, err
	}
	if len(c.checked.Faults) == 0 {
		return c.checked, nil
	}
	for _, camera := range slices.Sorted(maps.Keys(c.plans)) {
		if err := c.mend(ctx, camera, c.plans[camera]); err != nil {
			return c.checked, c.folder.explain(err)
		}
	}
	after, err := checkFS(ctx, files, dir, progress)
	c.checked.Left = after.Faults
	return c.checked, err
}

func (c *checker) repaired(format string, args ...any) {
	c.checked.Repaired = append(c.checked.Repaired, fmt.Sprintf(format, args...))
}

// mend does what a camera's plan says: first the files, then the index.
func (c *checker) mend(ctx context.Context, camera understudy.CameraID, p *plan) error {
	for _, name := range p.aside {
		to, err := c.setAside(name)
		if err != nil {
			return err
		}
		c.repaired("%s was moved to %s", name, to)
	}
	for id, at := range p.tails {
		to, err := c.setTailAside(id, at)
		if err != nil {
			return err
		}
		c.repaired("what segment %s had from byte %d on was moved to %s", id, at, to)
	}
	if !p.reindex {
		return nil
	}
	n, err := c.reindex(ctx, camera, p)
	if err == nil {
		c.repaired("the index of camera %s was made anew from %s", camera, counted(n, "segment"))
	}
	return err
}

// asidePath returns a path that is free for what lay at name.
func (c *checker) asidePath(name string) (string, error) {
	to := asideDir + "/" + name
	if err := c.folder.fs.MkdirAll(path.Dir(to)); err != nil {
		return "", err
	}
	for n := 2; c.folder.isThere(to); n++ {
		to = fmt.Sprintf("%s/%s.%d", asideDir, name, n)
	}
	return to, nil
}

// setAside moves a file out of the way, durably.
func (c *checker) setAside(name string) (string, error) {
	to, err := c.asidePath(name)
	if err != nil {
		return "", err
	}
	if err := c.folder.fs.Rename(name, to); err != nil {
		return "", err
	}
	return to, errors.Join(c.folder.fs.SyncDir(path.Dir(to)), c.folder.fs.SyncDir(path.Dir(name)))
}

// setTailAside copies what a file has from there on, and only when the copy is
// durable cuts it off.
func (c *checker) setTailAside(id understudy.SegmentID, from int64) (string, error) {
	files := c.folder.fs
	to, err := c.asidePath(fmt.Sprintf("%s.from-%d", segmentPath(id), from))
	if err != nil {
		return "", err
	}
	file, err := files.OpenFile(segmentPath(id), os.O_RDWR)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return "", err
	}
	aside, err := files.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(aside, file)
	if err := errors.Join(err, aside.Sync(), aside.Close(), files.SyncDir(path.Dir(to))); err != nil {
		return "", err
	}
	return to, errors.Join(file.Truncate(from), file.Sync())
}

// reindex makes a camera's index anew from its files, all of which it reads, and
// notes what was lost.
func (c *checker) reindex(ctx context.Context, camera understudy.CameraID, p *plan) (n int, err error) {
	f := c.folder
	if err := f.recoverNotes(camera); err != nil {
		return 0, err
	}
	files, err := f.segmentNames(camera)
	if err != nil {
		return 0, err
	}
	comparison := comparison{folder: f, camera: camera, rows: p.rows}
	for _, id := range files.segments {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		e, err := c.surveyFile(id)
		if err != nil {
			return n, err
		}
		if e == nil {
			continue
		}
		comparison.fresh = append(comparison.fresh, e)
		if was := p.rows[id]; was != nil || e.rest {
			f.noteHoles(was, e)
		}
		n++
	}
	for _, id := range files.marks {
		if !f.isFile(id) {
			comparison.archived(id)
		}
	}
	for id, was := range p.rows {
		if !f.isFile(id) && !was.Archived {
			f.noteDamage(camera, was.Start, was.End, fmt.Sprintf("segment %s was recorded, and its file is damaged or gone", id))
		}
	}
	if err := c.dropIndex(camera); err != nil {
		return n, err
	}
	if err := comparison.put(); err != nil {
		return n, err
	}
	return n, errors.Join(f.mend(camera), f.notes.save(camera))
}

func (c *checker) surveyFile(id understudy.SegmentID) (*entry, error) {
	file, err := c.folder.openFile(id)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	e, err := c.folder.surveyed(id, file, info.Size())
	if err != nil || e == nil {
		return nil, err
	}
	return e, c.folder.keepRead(file, id)
}

// dropIndex removes a camera's index files. A crash before they are made anew
// leaves a camera without an index, which the next start makes.
func (c *checker) dropIndex(camera understudy.CameraID) error {
	files, err := c.folder.fs.ReadDir(cameraIndexDir(camera))
	if isNotExist(err) {
		return nil
	}
	for _, file := range files {
		err = errors.Join(err, c.folder.fs.Remove(cameraIndexDir(camera)+"/"+file.Name()))
	}
	return err
}
