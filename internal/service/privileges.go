package service

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hotsvc/internal/toml"
)

var limitNames = []string{
	"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
	"rttime", "sigpending", "stack",
}

var capabilityNames = []string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

var (
	octal   = regexp.MustCompile(`^0?[0-7]{3}$`)
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// privileges reads what the process of exec_start is allowed and given.
func (d *decoder) privileges() {
	e := &d.def.Exec
	d.Text("user", &e.User)
	d.Text("group", &e.Group)
	d.Texts("groups", &e.Groups)
	d.umask()
	d.Int("nice", &e.Nice, -20, 19)
	d.limits()
	d.env()
	d.Texts("env_file", &e.EnvFile)
	for i, f := range e.EnvFile {
		if !path.IsAbs(f) {
			d.Problems.Errorf(d.Table.Get("env_file").Value.List[i].Pos, "env_file: %s is no absolute path", toml.Quote(f))
		}
	}
	for _, key := range []string{"user", "group", "groups", "env_file"} {
		if k := d.Table.Get(key); k != nil {
			d.outside(key, append([]*toml.Value{k.Value}, k.Value.List...)...)
		}
	}
	d.cwd()
	d.capabilities()
	d.Bool("no_new_privileges", &e.NoNewPrivs)
	d.log()
}

// cwd may begin with a word: {target} of a mount is a directory.
func (d *decoder) cwd() {
	cwd := &d.def.Exec.Cwd
	if d.Text("cwd", cwd); *cwd == "" {
		return
	}
	pos := d.Table.Get("cwd").Value.Pos
	if !path.IsAbs(*cwd) && !strings.HasPrefix(*cwd, "{") {
		d.Problems.Errorf(pos, "cwd: %s is no absolute path", toml.Quote(*cwd))
	} else if wrong := d.checkWords(*cwd); wrong != "" {
		d.Problems.Errorf(pos, "cwd: %s", wrong)
	}
}

func (d *decoder) umask() {
	k := d.Key("umask")
	if k == nil {
		return
	}
	text := strings.TrimPrefix(k.Value.Text, "0o")
	if k.Value.Kind == toml.Number && text == k.Value.Text || !octal.MatchString(text) {
		d.Problems.Errorf(k.Value.Pos, `umask is an octal number as text: write "022", not %s`, k.Value.Text)
		return
	}
	mask, _ := strconv.ParseUint(text, 8, 16)
	d.def.Exec.Umask = int(mask)
}

func (d *decoder) limits() {
	t := d.Sub("limits")
	if t == nil {
		return
	}
	for _, k := range t.Keys {
		if !slices.Contains(limitNames, k.Name) {
			d.Problems.Errorf(k.Pos, "limits has no key %q%s", k.Name, toml.DidYouMean(k.Name, limitNames))
			continue
		}
		soft, hard, isPair := strings.Cut(k.Value.Text, ":")
		if !isPair {
			hard = soft
		}
		l := Limit{Name: k.Name}
		var okSoft, okHard bool
		l.Soft, okSoft = limit(soft)
		l.Hard, okHard = limit(hard)
		switch {
		case !okSoft || !okHard || k.Value.Kind != toml.Text && k.Value.Kind != toml.Number:
			d.Problems.Errorf(k.Value.Pos, `limits: %s is a number, "unlimited", or "SOFT:HARD"`, k.Name)
		case l.Soft > l.Hard:
			d.Problems.Errorf(k.Value.Pos, "limits: %s: the soft limit must not be above the hard one", k.Name)
		}
		d.def.Exec.Limits = append(d.def.Exec.Limits, l)
	}
	slices.SortFunc(d.def.Exec.Limits, func(a, b Limit) int { return cmp.Compare(a.Name, b.Name) })
}

// Unlimited is the value of a limit that is none.
const Unlimited = math.MaxUint64

func limit(text string) (uint64, bool) {
	if text == "unlimited" || text == "infinity" {
		return Unlimited, true
	}
	n, err := strconv.ParseUint(text, 10, 63)
	return n, err == nil
}

func (l Limit) String() string {
	text := func(n uint64) string {
		if n == Unlimited {
			return "unlimited"
		}
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%s = %s", l.Name, toml.Quote(text(l.Soft)+":"+text(l.Hard)))
}

// env reads the table of variables, in the order of their names.
func (d *decoder) env() {
	t := d.Sub("env")
	if t == nil {
		return
	}
	for _, k := range t.Keys {
		switch {
		case !envName.MatchString(k.Name):
			d.Problems.Errorf(k.Pos, "env: %s is no name of a variable", toml.Quote(k.Name))
		case k.Value.Kind != toml.Text: // not shown: it may be a secret
			d.Problems.Errorf(k.Value.Pos, "env: %s is text: write it in quotes", k.Name)
		case strings.ContainsRune(k.Value.Text, 0):
			d.Problems.Errorf(k.Value.Pos, "env: %s: a value cannot hold a zero byte", k.Name)
		default:
			if wrong := d.checkWords(k.Value.Text); wrong != "" {
				d.Problems.Errorf(k.Value.Pos, "env: %s", wrong)
			}
			d.def.Exec.Env = append(d.def.Exec.Env, Var{k.Name, k.Value.Text})
		}
	}
	slices.SortFunc(d.def.Exec.Env, func(a, b Var) int { return cmp.Compare(a.Name, b.Name) })
}

// capabilities reads the capabilities that the process keeps: [] is none.
func (d *decoder) capabilities() {
	d.Texts("capabilities", &d.def.Exec.Capabilities)
	for i, name := range d.def.Exec.Capabilities {
		name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		if !slices.Contains(capabilityNames, name) {
			d.Problems.Errorf(d.Table.Get("capabilities").Value.List[i].Pos, "capabilities: there is no CAP_%s%s", name, toml.DidYouMean(name, capabilityNames))
		}
		d.def.Exec.Capabilities[i] = "CAP_" + name
	}
	slices.Sort(d.def.Exec.Capabilities)
}
