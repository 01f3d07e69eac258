package vm_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
)

// stick makes a disk with one partition, an ext2, and gives it to the machine as
// the drive ID; a second time the disk is the same.
func (p *player) stick(id, name string) error {
	const sector, first, sectors = 512, 2048, 16384
	file := filepath.Join(p.dir, name)
	if _, err := os.Stat(file); err != nil {
		part := file + ".part"
		if err := os.WriteFile(part, make([]byte, sectors*sector), 0o644); err != nil {
			return err
		}
		if out, err := exec.Command(os.Getenv("VM_ROOT")+"/bin/busybox", "mke2fs", "-F", part).CombinedOutput(); err != nil {
			os.Stderr.Write(out)
			return err
		}
		system, err := os.ReadFile(part)
		if err != nil {
			return err
		}
		disk := make([]byte, first*sector, (first+sectors)*sector)
		disk[446+4] = 0x83
		binary.LittleEndian.PutUint32(disk[446+8:], first)
		binary.LittleEndian.PutUint32(disk[446+12:], sectors)
		disk[510], disk[511] = 0x55, 0xaa
		if err := os.WriteFile(file, append(disk, system...), 0o644); err != nil {
			return err
		}
	}
	_, err := p.control("blockdev-add", map[string]any{"driver": "raw", "node-name": id,
		"file": map[string]any{"driver": "file", "filename": file}})
	return err
}
