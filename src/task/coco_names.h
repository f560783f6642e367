/* coco_names.h - COCO's 80 classes: names and category ids by the index detectors use. */
#ifndef OMMA_TASK_COCO_NAMES_H
#define OMMA_TASK_COCO_NAMES_H

enum { OMMA_COCO_CLASSES = 80 };

/* The English name of class 0..79, a static string; NULL outside. */
const char *omma_coco_name(int label);

/* COCO's category id (1..90, with holes) of class 0..79; -1 outside. */
int omma_coco_id(int label);

#endif
