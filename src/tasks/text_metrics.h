// text_metrics.h -- the metrics of GLUE. Values are those of scikit-learn 1.9 and SciPy 1.17 (tests/tasks compares),
// also where nothing can be said: accuracy, F1 and Matthews' coefficient are then 0, correlations NaN.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/evaluation.h"

namespace gfsa::tasks {

// A sample's true and predicted class.
struct ClassPair {
  int64_t truth = 0, predicted = 0;
};

double accuracy(const std::vector<ClassPair>& pairs);
// Of class 1 among 0 and 1: 2 TP / (2 TP + FP + FN).
double f1(const std::vector<ClassPair>& pairs);
// The mean of every class's F1, over the classes that are true or predicted anywhere.
double macro_f1(const std::vector<ClassPair>& pairs);
// Matthews' correlation, of any number of classes (Gorodkin 2004, Comput. Biol. Chem. 28).
double matthews(const std::vector<ClassPair>& pairs);
// x and y of one length. NaN for fewer than two values, or where one of the two does not vary.
double pearson(const std::vector<double>& x, const std::vector<double>& y);
// Pearson's of the ranks; equal values share the mean of their ranks.
double spearman(const std::vector<double>& x, const std::vector<double>& y);

// The names that `metric` and TextSourceConfig::primary_metric() may have.
const std::vector<std::string>& class_metrics();       // accuracy, f1, macro_f1, matthews
const std::vector<std::string>& regression_metrics();  // pearson, spearman

// By name, times 100 as GLUE's tables have it; not a number becomes 0 (nothing is correlated with a constant).
double class_metric(const std::string& name, const std::vector<ClassPair>& pairs);
double regression_metric(const std::string& name, const std::vector<double>& truth,
                         const std::vector<double>& predicted);

// The same with a 95% interval: Wilson's for accuracy; for the other class metrics the percentiles of 1,000 bootstrap
// samples (Efron 1979), drawn from a fixed seed; for correlations Fisher's z, whose variance is 1 / (n - 3) for
// Pearson's and (1 + r^2 / 2) / (n - 3) for Spearman's (Bonett, Wright 2000, Psychometrika 65).
train::Figure class_figure(const std::string& name, const std::vector<ClassPair>& pairs);
train::Figure regression_figure(const std::string& name, const std::vector<double>& truth,
                                const std::vector<double>& predicted);

}  // namespace gfsa::tasks
