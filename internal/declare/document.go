// Package declare is a site as a file says that it shall be: what must be done so
// that it is, and doing it. Applying the same file again changes nothing.
package declare

import (
	"bytes"
	"io"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"understudy"
	"understudy/internal/remote"
)

// maxFile bounds a file: 20,000 cameras are about 6 MB.
const maxFile = 32 << 20

// Document is a site as a file has it. Servers join by themselves: of those that
// have, it says what they do.
type Document struct {
	FailoverServers  []understudy.FailoverServer  `json:"failover_servers"`
	Groups           []understudy.FailoverGroup   `json:"groups"`
	RecordingServers []understudy.RecordingServer `json:"recording_servers"`
	// Defaults are what each of the cameras does not say.
	Defaults understudy.Camera `json:"defaults"`
	Cameras  []Camera          `json:"cameras"`
	// CameraGroups, Roles and Users are who may do what. A user is there already:
	// no password stands here.
	CameraGroups []understudy.CameraGroup `json:"camera_groups"`
	Roles        []understudy.SiteRole    `json:"roles"`
	Users        []understudy.User        `json:"users"`
}

// Now is a site as it is, for who may know it all. Users matter where a document has some.
type Now struct {
	understudy.Site
	Users []understudy.User
}

// Camera is a camera with the password that it is given when it is new.
type Camera struct {
	understudy.Camera
	// Password is best left out of files, and PasswordFile names one that holds it.
	Password     understudy.Secret `json:"password"`
	PasswordFile string            `json:"password_file"`
}

// Read reads a document; password files are found beside it, in folder.
func Read(r io.Reader, folder string) (Document, error) {
	var d Document
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return d, understudy.Errorf(understudy.CodeInvalid, "the file could not be read: %w", err)
	case len(content) > maxFile:
		return d, understudy.Errorf(understudy.CodeInvalid, "the file is larger than %d bytes", maxFile)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		return d, understudy.Errorf(understudy.CodeInvalid, "the file is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(root.Content) == 0 {
		return d, nil // an empty file says nothing
	}
	// Twice: the defaults are known only when all was read.
	if err := read(root.Content[0], reflect.ValueOf(&d).Elem()); err != nil {
		return d, err
	}
	if err := d.takeDefaults(root.Content[0]); err != nil {
		return d, err
	}
	for i := range d.Cameras {
		if err := d.Cameras[i].readPassword(folder); err != nil {
			return d, err
		}
	}
	return d, nil
}

// takeDefaults reads the cameras again, each on top of the defaults.
func (d *Document) takeDefaults(root *yaml.Node) error {
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value != "cameras" {
			continue
		}
		for n, item := range root.Content[i+1].Content {
			c := Camera{Camera: d.Defaults}
			if err := read(item, reflect.ValueOf(&c).Elem()); err != nil {
				return err
			}
			c.Camera = c.WithDefaults()
			d.Cameras[n] = c
		}
	}
	return nil
}

func (c *Camera) readPassword(folder string) error {
	if c.PasswordFile == "" {
		return nil
	}
	if c.Password != "" {
		return understudy.Errorf(understudy.CodeInvalid, "camera %s has password and password_file; one of them is enough", c.ID)
	}
	path := c.PasswordFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	password, err := remote.Secret("password_file of camera "+string(c.ID), path)
	if err != nil {
		return err
	}
	c.Password = understudy.Secret(password)
	return nil
}

// Export returns the document that a site is, without passwords, which nobody gives out.
func Export(site Now) Document {
	d := Document{Groups: site.Groups, Roles: site.Roles, Users: site.Users}
	for _, g := range site.CameraGroups {
		if g.Name == string(g.ID) {
			g.Name = ""
		}
		d.CameraGroups = append(d.CameraGroups, g)
	}
	for _, s := range site.FailoverServers {
		s.Addresses = understudy.Addresses{} // they are where they have joined
		if s.Name == string(s.ID) {
			s.Name = ""
		}
		d.FailoverServers = append(d.FailoverServers, s)
	}
	for _, s := range site.RecordingServers {
		s.Addresses = understudy.Addresses{}
		if s.Name == string(s.ID) {
			s.Name = ""
		}
		d.RecordingServers = append(d.RecordingServers, s)
	}
	for _, c := range site.Cameras {
		if c.Name == string(c.ID) {
			c.Name = ""
		}
		d.Cameras = append(d.Cameras, Camera{Camera: c})
	}
	return d
}

// Write writes a document: a line for each thing, what is as usual left out.
func (d Document) Write(w io.Writer) error {
	var out bytes.Buffer
	usual := reflect.New(reflect.TypeFor[Document]()).Elem()
	v := reflect.ValueOf(d)
	for _, name := range names(v.Type()) {
		list := settings(v)[name]
		if list.Kind() != reflect.Slice || list.Len() == 0 {
			continue
		}
		out.WriteString(name + ":\n")
		one := reflect.New(settings(usual)[name].Type().Elem()).Elem()
		if name == "cameras" {
			one.Field(0).Set(reflect.ValueOf(understudy.Camera{}.WithDefaults()))
		}
		for i := range list.Len() {
			line, err := yaml.Marshal(writeItem(list.Index(i), one))
			if err != nil {
				return err
			}
			out.WriteString("  - ")
			out.Write(line)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}
