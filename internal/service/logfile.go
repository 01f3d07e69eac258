package service

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"hotsvc/internal/toml"
)

// LogFile says how the log of a service is kept that goes to files.
type LogFile struct {
	MaxSize int64         `json:"max_size"` // bytes at which a new file is begun; 0: never
	Keep    int           `json:"keep"`     // how many older files; 0: all
	MaxAge  time.Duration `json:"max_age"`  // at which a new file is begun; 0: never
	Stamp   string        `json:"stamp"`    // form of the time before each line, one of Stamps
}

// UsualLogFile is how a log is kept of which nothing is said.
var UsualLogFile = LogFile{MaxSize: 1_000_000, Keep: 10, Stamp: Stamps[0]}

// Stamps are the forms of the time before a line: internal/svlog knows them.
var Stamps = []string{"rfc3339", "tai64n", "human", "iso", "none"}

var logTargets = []string{"file", "syslog", "none"}

// log reads where output goes, and how it is kept there: a text or a table.
func (d *decoder) log() {
	to, f := &d.def.Exec.Log, &d.def.Policy.LogFile
	k := d.Table.Get("log")
	if k == nil || k.Value.Kind != toml.Nested {
		d.OneOf("log", to, logTargets...)
		return
	}
	t := toml.Decode(d.Sub("log"), "log", d.Problems)
	t.Prefix = "log."
	t.OneOf("to", to, logTargets...)
	size(t, "max_size", &f.MaxSize)
	t.Int("keep", &f.Keep, 0, 1000)
	days(t, "max_age", &f.MaxAge)
	t.OneOf("stamp", &f.Stamp, Stamps...)
	t.Done()
	if f.MaxSize > 0 && f.MaxSize < 4000 {
		d.Problems.Errorf(t.Table.Get("max_size").Value.Pos, `log.max_size must be at least "4kB", or 0 for no limit: a line or two would be a file`)
	}
	if f.MaxAge > 0 && f.MaxAge < time.Minute {
		d.Problems.Errorf(t.Table.Get("max_age").Value.Pos, `log.max_age must be at least "1m", or "0s" for no limit`)
	}
	for _, k := range t.Table.Keys {
		if k.Name != "to" && *to != "file" {
			d.Problems.Warnf(k.Pos, `log.%s is for log.to = "file", not %q`, k.Name, *to)
		}
	}
}

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// size reads a number of bytes: a number, or a text with a unit.
func size(d *toml.Decoder, name string, to *int64) {
	k := d.Key(name)
	if k == nil {
		return
	}
	number, bytes := k.Value.Text, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(number, u.name); ok && k.Value.Kind == toml.Text {
			number, bytes = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if k.Value.Kind == toml.Number {
		n, err = k.Value.Number, nil
	}
	if err != nil || n < 0 || n > math.MaxInt64/bytes || k.Value.Kind != toml.Text && k.Value.Kind != toml.Number {
		d.Problems.Errorf(k.Value.Pos, `%s is a size: write "1MB", "500kB", or a number of bytes`, d.Prefix+name)
		return
	}
	*to = n * bytes
}

// days reads a time that may be in days.
func days(d *toml.Decoder, name string, to *time.Duration) {
	if k := d.Table.Get(name); k != nil && k.Value.Kind == toml.Text {
		if number, ok := strings.CutSuffix(k.Value.Text, "d"); ok {
			if n, err := strconv.ParseUint(number, 10, 15); err == nil {
				d.Key(name)
				*to = time.Duration(n) * 24 * time.Hour
				return
			}
		}
	}
	d.Time(name, to)
}

// table prints where output goes and how it is kept, without what is usual.
func (f LogFile) table(to string) string {
	var items []string
	add := func(key, value string) { items = append(items, key+" = "+value) }
	if to != "file" {
		add("to", toml.Quote(to))
	}
	if f.MaxSize != UsualLogFile.MaxSize {
		add("max_size", quoteSize(f.MaxSize))
	}
	if f.Keep != UsualLogFile.Keep {
		add("keep", strconv.Itoa(f.Keep))
	}
	if f.MaxAge != 0 {
		add("max_age", toml.QuoteTime(f.MaxAge))
	}
	if f.Stamp != UsualLogFile.Stamp {
		add("stamp", toml.Quote(f.Stamp))
	}
	return "{ " + strings.Join(items, ", ") + " }"
}

func quoteSize(n int64) string {
	for _, u := range sizeUnits {
		if n > 0 && u.bytes > 1 && n%u.bytes == 0 {
			return toml.Quote(fmt.Sprintf("%d%s", n/u.bytes, u.name))
		}
	}
	return strconv.FormatInt(n, 10)
}
