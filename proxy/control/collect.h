/* Prometheus families that carry labels and come from the whole process. Control thread. */
#ifndef PROXY_CONTROL_COLLECT_H
#define PROXY_CONTROL_COLLECT_H

struct control;

void pw_control_add_collectors(struct control *c);
void pw_control_remove_collectors(struct control *c);
/* Brings the control slot's numbers up to date (the cache counts its own): before each sample. */
void pw_control_refresh_metrics(struct control *c);

#endif
