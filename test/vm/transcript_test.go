package vm_test

func (p *player) transcript() error { return nil }
