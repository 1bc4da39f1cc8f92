package declare

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"gopkg.in/yaml.v3"

	"understudy"
)

// The vocabulary's types are read and written by the names that they have in the
// API, with durations and sizes as people write them: so a setting that is added
// to a camera is one of this file too.

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// read takes a node into v, which keeps what the node does not say.
func read(n *yaml.Node, v reflect.Value) error {
	switch {
	case n.Kind == yaml.AliasNode: // one may contain itself, or be a thousand times as large as it looks
		return wrong(n, "no alias (*); what cameras have in common stands under defaults")
	case v.Kind() == reflect.Struct && v.Type() != timeType:
		return readStruct(n, v)
	case v.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return wrong(n, "a list")
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			if err := read(item, list.Index(i)); err != nil {
				return err
			}
		}
		v.Set(list)
		return nil
	case n.Kind != yaml.ScalarNode:
		return wrong(n, "one value")
	}
	if what := readText(n.Value, v); what != "" {
		return wrong(n, what)
	}
	return nil
}

func wrong(n *yaml.Node, want string) error {
	return understudy.Errorf(understudy.CodeInvalid, "line %d: expected %s, found %.80q", n.Line, want, n.Value)
}

func readStruct(n *yaml.Node, v reflect.Value) error {
	if n.Kind != yaml.MappingNode {
		return wrong(n, "settings, as `key: value`")
	}
	fields := settings(v)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		field, ok := fields[key.Value]
		if !ok {
			return understudy.Errorf(understudy.CodeInvalid, "line %d: there is no key %.60q; the keys are %s", key.Line, key.Value, strings.Join(names(v.Type()), ", "))
		}
		if err := read(n.Content[i+1], field); err != nil {
			return err
		}
	}
	return nil
}

// readText takes a text as people write it, and otherwise says what was expected.
func readText(text string, v reflect.Value) (expected string) {
	switch {
	case v.Type() == durationType:
		d, err := duration(text)
		if err != nil {
			return "a duration, such as 10s, 36h or 30d"
		}
		v.SetInt(int64(d))
	case v.Type() == timeType:
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return "a moment, such as 2026-11-23T14:05:00Z"
		}
		v.Set(reflect.ValueOf(at))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return "true or false"
		}
		v.SetBool(yes)
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			size, sizeErr := humanize.ParseBytes(text)
			if n = int64(size); sizeErr != nil || size > 1<<62 || v.OverflowInt(n) { //nolint:gosec // bounded here
				return "a number, or a size such as 200GB"
			}
		}
		if v.OverflowInt(n) {
			return "a smaller number"
		}
		v.SetInt(n)
	default:
		panic(fmt.Sprintf("declare: nobody said how a %s is written", v.Type()))
	}
	return ""
}

// duration is Go's, and days as d.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || n < 0 || n > 100_000 {
			return 0, understudy.Errorf(understudy.CodeInvalid, "expected a number of days, found %.20q", text)
		}
		return time.Duration(n * 24 * float64(time.Hour)), nil
	}
	return time.ParseDuration(text)
}

// settings are the fields of a struct by the names that they have in the API;
// those of what is embedded are its own.
func settings(v reflect.Value) map[string]reflect.Value {
	all := map[string]reflect.Value{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			for name, inner := range settings(v.Field(i)) {
				all[name] = inner
			}
		case name != "" && name != "-" && !ordered[name]:
			all[name] = v.Field(i)
		}
	}
	return all
}

// ordered are no settings: they are orders to a server, given by commands that
// know how, what the site notes by itself, or a user's own.
var ordered = map[string]bool{"hand_over": true, "maintenance": true, "take_back": true, "created": true, "second_factor": true, "built_in": true}

// names are those of settings, in the order in which the type has them.
func names(t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			all = append(all, names(field.Type)...)
		case name != "" && name != "-" && !ordered[name]:
			all = append(all, name)
		}
	}
	return all
}

// write is the inverse of read; what is as usual is left out. nil is nothing to say.
func write(v, usual reflect.Value) *yaml.Node {
	switch {
	case v.Kind() == reflect.Struct && v.Type() != timeType:
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		values, usuals := settings(v), settings(usual)
		for _, name := range names(v.Type()) {
			if inner := write(values[name], usuals[name]); inner != nil {
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, inner)
			}
		}
		if len(n.Content) == 0 {
			return nil
		}
		return n
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, writeItem(v.Index(i), reflect.Zero(v.Type().Elem())))
		}
		return n
	case v.Equal(usual):
		return nil
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text(v)}
	if v.Kind() == reflect.String {
		n.SetString(v.String()) // quoted where it would be read as something else
	}
	return n
}

// writeItem is of a list, where also that which says nothing has its place.
func writeItem(v, usual reflect.Value) *yaml.Node {
	switch n := write(v, usual); {
	case n != nil:
		return n
	case v.Kind() == reflect.Struct:
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	}
	n := &yaml.Node{}
	n.SetString(v.String())
	return n
}

// text is a value as people write it.
func text(v reflect.Value) string {
	if v.Type() == durationType {
		d := time.Duration(v.Int())
		switch days := d / (24 * time.Hour); {
		case days > 0 && d%(24*time.Hour) == 0:
			return fmt.Sprintf("%dd", days)
		case d%time.Hour == 0:
			return fmt.Sprintf("%dh", d/time.Hour)
		case d%time.Minute == 0:
			return fmt.Sprintf("%dm", d/time.Minute)
		}
		return d.String()
	}
	return fmt.Sprint(v.Interface())
}

// differences says in words which settings of two values differ.
func differences(before, after reflect.Value, prefix string) []string {
	var all []string
	was, is := settings(before), settings(after)
	for _, name := range names(before.Type()) {
		old, now := was[name], is[name]
		switch {
		case old.Kind() == reflect.Struct && old.Type() != timeType:
			all = append(all, differences(old, now, prefix+name+".")...)
		case reflect.DeepEqual(old.Interface(), now.Interface()):
		default:
			all = append(all, fmt.Sprintf("%s%s: %s → %s", prefix, name, shown(old), shown(now)))
		}
	}
	return all
}

func shown(v reflect.Value) string {
	if v.IsZero() {
		return "none"
	}
	return text(v)
}
