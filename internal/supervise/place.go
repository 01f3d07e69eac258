package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// boot is what the file of that name says: what the pids and start times in a
// run directory belong to, and where trees are kept.
type boot struct {
	life string // boot_id and pid namespace, a line each
	root string // of the cgroups; "": there are none
}

func (b boot) text() []byte { return []byte(b.life + "\n" + b.root + "\n") }

// thisLife is the life that our own pids and start times belong to.
func thisLife() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	pids, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\n%s", bytes.TrimSpace(id), pids), nil
}

// readBoot reads what the daemon before us wrote; ok is false where that is
// damaged or missing, and so says nothing.
func readBoot(runDir string) (b boot, ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(runDir, "boot"))
	if lacking(err) {
		return b, false, err
	}
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) != 4 || !strings.HasPrefix(lines[1], "pid:[") || lines[2] != "" && !filepath.IsAbs(lines[2]) {
		return b, false, nil
	}
	return boot{life: lines[0] + "\n" + lines[1], root: lines[2]}, true, nil
}

// settled tells where the trees are that an earlier daemon noted. Ours are to be
// there too: elsewhere we would neither find those nor end them. Where nothing is
// noted, every place is as good.
func settled(runDir string) (root string, is bool, err error) {
	all, err := notes(runDir)
	if err != nil || len(all) == 0 {
		return "", false, err
	}
	life, err := thisLife()
	if err != nil {
		return "", false, err
	}
	before, known, err := readBoot(runDir)
	switch {
	case err != nil:
		return "", false, err
	case known && before.life != life:
		return "", false, nil
	case known && before.root == "":
		return "", true, nil
	case known:
		if _, err := os.Stat(before.root); !errors.Is(err, os.ErrNotExist) {
			return before.root, true, nil // its use will tell what is wrong with it
		}
	}
	// The file is damaged, or the cgroups are mounted elsewhere by now.
	for _, t := range all {
		n, err := readNote(notePath(runDir, t))
		if err != nil {
			return "", false, err
		}
		st, err := readStat(n.pid)
		if lacking(err) {
			return "", false, err
		}
		if n.pid == 0 || err != nil || st.started != n.started {
			continue
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", n.pid))
		if lacking(err) {
			return "", false, err
		}
		if _, path, ok := strings.Cut(string(text), "0::"); ok {
			if parent, _, ok := strings.Cut(path, "/"+rootName(runDir)+"/"); ok {
				root, err := shownAt(parent, rootName(runDir))
				return root, true, err
			}
		}
		is = !known // then it was started without cgroups
	}
	return "", is, nil
}

// shownAt finds the directory of a cgroup, given by its parent in proc(5) and
// its name.
func shownAt(parent, name string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for _, place := range cgroupPlaces(string(mounts), "0::/"+strings.TrimPrefix(parent, "/")+"\n") {
		if _, err := os.Stat(filepath.Join(place, name)); err == nil {
			return filepath.Join(place, name), nil
		}
	}
	return "", fmt.Errorf("services run in cgroup %s/%s, which no cgroup2 file system shows: mount it where it was", parent, name)
}

// goOn keeps trees in the cgroup where those of an earlier daemon are.
func goOn(runDir, root string) (*cgroups, error) {
	c := &cgroups{root: root}
	if err := c.try(); err != nil {
		return nil, fmt.Errorf("cgroup %s, where services of an earlier daemon run, cannot be used: %w: mend that and try again, or end them and remove %s", root, err, filepath.Join(runDir, "run"))
	}
	return c, nil
}

// CheckTrees tells whether a daemon could go on with the services that another
// one left, or runs. It changes nothing.
func CheckTrees(runDir string) error {
	runDir, err := realDir(runDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("supervise: run dir %w", err)
	}
	root, is, err := settled(runDir)
	if err == nil && is && root != "" {
		_, err = goOn(runDir, root)
	}
	if err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	return nil
}

// realDir makes the name of the run directory one that every daemon finds,
// whatever it is called: cgroups are named after it, and marks known by it.
func realDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// plant chooses how trees are kept. Records of another boot or pid namespace are
// wiped: start times repeat across boots.
func (k *linux) plant(under string) error {
	life, err := thisLife()
	if err != nil {
		return err
	}
	before, known, err := readBoot(k.runDir)
	if err != nil {
		return err
	}
	if known && before.life != life {
		before = boot{}
		k.log.Info("records of another boot wiped", "run_dir", k.runDir)
		for _, dir := range []string{"svc", "run", "ready", "global"} {
			if err := os.RemoveAll(filepath.Join(k.runDir, dir)); err != nil {
				return err
			}
		}
	}
	root, is, err := settled(k.runDir)
	switch {
	case err != nil:
		return err
	case is && root == "":
		k.without = "services run that were started without"
	case is:
		c, err := goOn(k.runDir, root)
		if err != nil {
			return err
		}
		k.trees = c
	case under != "none":
		c, err := newCgroups(k.runDir, under, before.root)
		if err == nil {
			root, k.trees = c.root, c
		} else {
			k.without = err.Error()
		}
	}
	if c, ok := k.trees.(*cgroups); ok {
		c.pruneAll()
	} else if k.trees, err = newSessions(k.runDir); err != nil {
		return err
	}
	if now := (boot{life, root}); !known || now != before {
		return replace(filepath.Join(k.runDir, "boot"), now.text())
	}
	return nil
}
