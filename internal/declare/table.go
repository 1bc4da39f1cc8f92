package declare

import (
	"encoding/csv"
	"errors"
	"io"
	"reflect"
	"strings"

	"understudy"
)

// maxRows bounds a table of cameras.
const maxRows = 100_000

// ReadTable reads cameras from comma-separated values (RFC 4180): the first row
// names the settings, as the API does, those of a rule as rule.mode and so on.
// Columns that are left out leave a camera of the site as it is.
func ReadTable(r io.Reader, site understudy.Site) (Document, error) {
	var d Document
	rows := csv.NewReader(r)
	rows.TrimLeadingSpace, rows.ReuseRecord = true, true
	header, err := rows.Read()
	if err != nil {
		return d, understudy.Errorf(understudy.CodeInvalid, "expected a first row that names the columns, such as id,name,home,url: %w", err)
	}
	columns := make([]string, len(header))
	for i, name := range header {
		columns[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))) // as spreadsheets write it
	}
	if err := checkColumns(columns); err != nil {
		return d, err
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return d, understudy.Errorf(understudy.CodeInvalid, "the table cannot be read: %w", err)
		}
		if len(d.Cameras) == maxRows {
			return d, understudy.Errorf(understudy.CodeInvalid, "a table has at most %d cameras", maxRows)
		}
		line, _ := rows.FieldPos(0)
		c, err := readRow(columns, row, site)
		if err != nil {
			return d, understudy.Errorf(understudy.CodeInvalid, "line %d: %w", line, err)
		}
		d.Cameras = append(d.Cameras, c)
	}
}

func checkColumns(columns []string) error {
	var c Camera
	known, seen := cells(reflect.ValueOf(&c).Elem(), ""), map[string]bool{}
	for _, name := range columns {
		if _, ok := known[name]; !ok || seen[name] {
			return understudy.Errorf(understudy.CodeInvalid, "there is no column %.60q, or it is there twice; the columns are %s", name, strings.Join(columnNames(reflect.TypeFor[Camera](), ""), ", "))
		}
		seen[name] = true
	}
	if !seen["id"] {
		return understudy.Errorf(understudy.CodeInvalid, "the table needs a column id")
	}
	return nil
}

func readRow(columns, row []string, site understudy.Site) (c Camera, err error) {
	for i, name := range columns {
		if name == "id" {
			c.Camera, _ = site.Camera(understudy.CameraID(strings.TrimSpace(row[i])))
		}
	}
	all := cells(reflect.ValueOf(&c).Elem(), "")
	for i, name := range columns {
		text, cell := strings.TrimSpace(row[i]), all[name]
		if text == "" {
			cell.SetZero()
		} else if expected := readText(text, cell); expected != "" {
			return c, understudy.Errorf(understudy.CodeInvalid, "%s: expected %s, found %.80q", name, expected, text)
		}
	}
	c.Camera = c.WithDefaults()
	return c, c.readPassword("")
}

// cells are the settings of a value that are one text each, by their dotted names.
func cells(v reflect.Value, prefix string) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for name, field := range settings(v) {
		if field.Kind() == reflect.Struct && field.Type() != timeType {
			for inner, cell := range cells(field, prefix+name+".") {
				all[inner] = cell
			}
			continue
		}
		all[prefix+name] = field
	}
	return all
}

func columnNames(t reflect.Type, prefix string) []string {
	var all []string
	v := reflect.New(t).Elem()
	for _, name := range names(t) {
		if field := settings(v)[name]; field.Kind() == reflect.Struct && field.Type() != timeType {
			all = append(all, columnNames(field.Type(), prefix+name+".")...)
			continue
		}
		all = append(all, prefix+name)
	}
	return all
}
