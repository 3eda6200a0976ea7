package keeper

import "time"

// interim: replaced by the signals package.
func (k *Keeper) onReloadRequest(struct{}) error { k.wantReload(0); return nil }
func (k *Keeper) wantReload(id uint64) {
	if len(k.reloads) == 0 {
		k.reloads = append(k.reloads, id)
	}
}
func (k *Keeper) demandDone(uint64, string) {}
func (k *Keeper) demandsLost()              {}
func (k *Keeper) reloadDue() time.Duration {
	if len(k.reloads) == 0 || k.reload != nil {
		return 0
	}
	return max(k.nextReload, 1)
}
func (k *Keeper) takeDemands(now time.Duration) {
	if at := k.reloadDue(); at == 0 || now < at || k.quit != nil || k.stopping != nil {
		return
	}
	id := k.reloads[0]
	k.reloads = k.reloads[1:]
	k.beginReload(id)
}
