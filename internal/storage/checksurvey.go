package storage

import (
	"errors"
	"slices"
	"strings"

	"understudy"
)

// survey compares the names of the files with the index, and lists what is to be read.
func (c *checker) survey() error {
	cameras, err := c.folder.cameraNames()
	if err != nil {
		return err
	}
	for _, camera := range cameras {
		if err := errors.Join(c.surveyCamera(camera), c.strangers(camera), c.checkNotes(camera)); err != nil {
			return err
		}
	}
	slices.SortFunc(c.files, func(a, b checkedFile) int { return strings.Compare(a.id.String(), b.id.String()) })
	return nil
}

func (c *checker) surveyCamera(camera understudy.CameraID) error {
	files, err := c.folder.segmentNames(camera)
	if err != nil {
		return err
	}
	// The index after the folder: what is begun meanwhile is in it, and what is deleted in neither.
	rows, open, err := c.index(camera)
	if err != nil {
		return err
	}
	p := c.plan(camera)
	p.rows = rows
	if rows == nil && len(files.segments) > 0 {
		p.reindex = true
		c.fault("the index of camera %s is missing; %s, or start the server: both read its %s again", camera, repairs, counted(len(files.segments), "segment"))
	}
	c.archived(files.marks, rows)
	for id, e := range rows {
		if !e.Archived && !c.folder.isFile(id) && c.isStillListed(e) {
			p.reindex = true
			c.fault("segment %s (%s to %s) is in the index, and its file is gone; restore it from a backup, or %s, which notes the gap", id, clock(e.Start), clock(e.End), repairs)
		}
	}
	for _, id := range files.segments {
		info, err := c.folder.fs.Stat(segmentPath(id))
		if isNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		c.files = append(c.files, checkedFile{id: id, size: info.Size(), open: open[id], said: rows[id]})
		c.total += info.Size()
	}
	return nil
}

// archived checks what is here of segments in the archive.
func (c *checker) archived(marks []understudy.SegmentID, rows map[understudy.SegmentID]*entry) {
	for _, id := range marks {
		if c.folder.isFile(id) {
			continue // moved to the archive, but for its file
		}
		if _, _, err := c.folder.readMarksFile(id); err != nil {
			c.fault("%v", err)
		}
		delete(rows, id) // its bytes are in the archive
	}
}

// isStillListed reads a day again: its server may have deleted the segment meanwhile.
func (c *checker) isStillListed(e *entry) bool {
	d := &day{dayKey: keyOf(c.folder, e), camera: e.ID.Camera}
	fresh, _, err := d.read()
	if err != nil {
		return true
	}
	_, there := place(fresh.entries, e.ID)
	return there
}

// index reads the index files of a camera: its closed segments, and those that
// are open. rows is nil if there is no index.
func (c *checker) index(camera understudy.CameraID) (rows map[understudy.SegmentID]*entry, open map[understudy.SegmentID]bool, err error) {
	files, err := c.folder.fs.ReadDir(cameraIndexDir(camera))
	if err != nil && !isNotExist(err) {
		return nil, nil, err
	}
	open = map[understudy.SegmentID]bool{}
	for _, file := range files {
		date, holder, ok := parseDayName(file.Name())
		if !ok {
			continue // what a crash left of a file that was to be replaced
		}
		if rows == nil {
			rows = map[understudy.SegmentID]*entry{}
		}
		d := &day{dayKey: dayKey{c.folder, date, holder}, camera: camera}
		fresh, damaged, err := d.read()
		if err != nil {
			return nil, nil, err
		}
		if damaged && c.folder.isThere(d.path()) {
			c.plan(camera).reindex = true
			c.fault("the index file %s is damaged; %s, or start the server: both make it anew from the segments", d.path(), repairs)
		}
		for _, e := range fresh.entries {
			rows[e.ID] = e
		}
		for _, o := range fresh.open {
			open[o.entry.ID] = true
		}
	}
	return rows, open, nil
}

func (f *folder) isThere(path string) bool {
	_, err := f.fs.Stat(path)
	return err == nil
}

// strangers finds files in a camera's folder that are none of its segments.
func (c *checker) strangers(camera understudy.CameraID) error {
	files, err := c.folder.fs.ReadDir(cameraDir(camera))
	if isNotExist(err) {
		return nil // a crash came before there was any
	}
	p := c.plan(camera)
	for _, file := range files {
		name := file.Name()
		segment, isVideo := strings.CutSuffix(name, ".mp4")
		_, bad := understudy.ParseSegmentID(string(camera) + "/" + segment)
		switch {
		case isAside(name):
			c.fault("%s/%s was set aside at an earlier start, because it could not be read; %s, which moves it to %s", camera, name, repairs, asideDir)
		case isVideo && bad != nil:
			c.fault("the file %s/%s is foreign: no segment has such a name; %s, which moves it to %s", camera, name, repairs, asideDir)
		default:
			continue
		}
		p.aside = append(p.aside, cameraDir(camera)+"/"+name)
	}
	return err
}
