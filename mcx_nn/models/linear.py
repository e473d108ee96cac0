"""Linear classifiers."""

from mcx_nn.dense import Dense
from mcx_nn.sequential import Sequential


def logistic_regression(inputs, classes):
    """Build multinomial logistic regression: one dense layer, with `softmax_cross_entropy`.

    Parameters
    ----------
    inputs, classes : int
        I and K.

    Returns
    -------
    Sequential
        From x (B, I) to logits (B, K), with (I + 1) K parameters.

    References
    ----------
    D. R. Cox, The regression analysis of binary sequences, J. R. Stat. Soc. B 20 (1958).

    Examples
    --------
    >>> print(logistic_regression(784, 10))
    layer              output shape   parameters
    0 Dense(784, 10)   (10,)               7,850
    total                                  7,850
    """
    return Sequential([Dense(inputs, classes)], input_shape=(inputs,))


def linear_svm(inputs, classes):
    """Build linear support vector machines, one against the rest, with `squared_hinge`.

    The network of `logistic_regression` with another loss; `L2Regularized` adds the margin.

    Parameters
    ----------
    inputs, classes : int
        I and K.

    Returns
    -------
    Sequential
        From x (B, I) to scores (B, K), with (I + 1) K parameters.

    References
    ----------
    C.-J. Hsieh, K.-W. Chang, C.-J. Lin, S. S. Keerthi, S. Sundararajan, A dual coordinate descent
    method for large-scale linear SVM, ICML 2008, eq. (1), L2-loss.

    Examples
    --------
    >>> model = linear_svm(5, 3)
    >>> model.output_shape((5,))
    (3,)
    """
    return Sequential([Dense(inputs, classes)], input_shape=(inputs,))
