/* lib/svd.h - the two decompositions that start values of LoRA come from, in
 * double. Matrices are row-major; sets of vectors lie one vector after the other. */
#ifndef LIB_SVD_H
#define LIB_SVD_H

/* The `rank` largest singular values of w (rows x cols), falling, with their vectors:
 * u holds rank vectors of `rows`, v rank vectors of `cols`. A value of 0 has the vector
 * 0 on one side. 1 <= rank <= min(rows, cols). The same input gives the same bits.
 *
 * Small matrices: one-sided Jacobi (Hestenes 1958). Large ones: subspace iteration
 * (Rutishauser 1969) with Jacobi on the projection, until |W^T u - s v| <= 1e-9 of the
 * largest singular value for every wanted triplet; should that take too long, Jacobi on
 * the whole. */
void svd_top(const float *w, int rows, int cols, int rank, double *u, double *s,
             double *v);

/* The first `rank` columns of Q (as vectors of `rows`) and rows of R (rank x cols) of
 * W = Q R, by Householder reflections with LAPACK's signs. */
void qr_top(const float *w, int rows, int cols, int rank, double *q, double *r);

#endif
